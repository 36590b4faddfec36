#pragma once

#include <backstop/runtime/runtime.hpp>

#include <memory>

namespace bench {

/// What each policy and the whole stack add to a call of a provider that answers at once, in time and allocations, and
/// what passing over a target with an open breaker takes.
void policies_on_an_instant_provider(const std::shared_ptr<backstop::Runtime>& runtime);

}  // namespace bench
