#pragma once

#include "backstop/handover/needs.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0::testing {

/// How a provider stands towards an ordinary request.
[[nodiscard]] inline Standing standing_of(const Provider& provider, TimePoint now) {
  const ChatRequest request{"hello"};
  return provider.standing(request, needs_of(request), now);
}

}  // namespace backstop::inline v0::testing
