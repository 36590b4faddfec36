#pragma once

#include <backstop/runtime/runtime.hpp>

#include <memory>

namespace bench {

/// What each policy and the whole stack add to a call of a provider that answers at once, in time and allocations, and
/// what passing over a target with an open breaker takes.
void policies_on_an_instant_provider(const std::shared_ptr<backstop::Runtime>& runtime);

/// What each strategy adds to a call of a client with 16 such candidates that are asked as listed: the choice, what is
/// remembered of the answer, and the row's words on it.
void strategies_among_sixteen(const std::shared_ptr<backstop::Runtime>& runtime);

}  // namespace bench
