#pragma once

#include "backstop/runtime/routing_hint.hpp"
#include "handover/own_parameters.hpp"

namespace backstop::inline v0::detail {

/// Of the request that is called with that hint.
[[nodiscard]] inline GivenUp given_up_by(const RoutingHint& hint) noexcept {
  GivenUp given_up;
  given_up.shortened = hint.shortened;
  given_up.continued = hint.text_so_far != nullptr;
  given_up.whole = hint.whole;
  return given_up;
}

}  // namespace backstop::inline v0::detail
