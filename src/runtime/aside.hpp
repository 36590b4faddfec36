#pragma once

#include <algorithm>

#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::detail {

/// The context of a question of its own within the call: what comes of it says nothing on the call's targets, and it is
/// not streamed. Its sends are the call's, and so is its time; what is kept of both for other targets is left to them.
[[nodiscard]] inline CallContext aside(const CallContext& outer, Branch& branch, Requirement& requirement) noexcept {
  CallContext context = outer;
  context.set_sink(nullptr);
  context.set_aside();
  context.set_branch(branch);
  context.set_requirement(requirement);
  RoutingHint hint;
  hint.in_client = true;  // it is not waited for whoever is asked to recover
  hint.first_choice = false;
  hint.barred_sends = outer.hint().barred_sends;
  hint.kept_sends = outer.hint().kept_sends - outer.hint().kept_from_repeats;
  hint.kept_outside = std::min(outer.hint().kept_outside, hint.kept_sends);
  hint.targets_to_come = outer.hint().targets_to_come;
  hint.whole_deadline = outer.hint().whole_deadline;
  hint.cooldown_max = outer.hint().cooldown_max;
  context.set_hint(hint);
  return context;
}

}  // namespace backstop::inline v0::detail
