#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fault_behaviour.hpp"

namespace backstop::faults {

/// A behaviour that has a name outside C++: on a command line, in a request's header.
struct NamedBehaviour {
  std::string_view name;
  std::string_view number;  ///< what a number in brackets says, as in `cut_stream(3)`; empty: it takes none
  int usual = 0;            ///< without brackets
  Behaviour (*make)(int number);
  std::string_view words{};  ///< what else may stand in brackets, as in `answer(TEXT)`; empty: nothing
  /// Of these words. Errors: std::invalid_argument, with what would be accepted.
  Behaviour (*make_of)(std::string_view words) = nullptr;
};

/// All of them, by kind: answers, refusals, connections that fail, answers that break, streams that are wrong.
[[nodiscard]] const std::vector<NamedBehaviour>& named_behaviours();

/// The behaviour of that name, such as `silence`, `cut_stream(3)` or `tool_call(weather, {"city": "Oslo"})`.
/// Errors: std::invalid_argument, with what would be accepted.
[[nodiscard]] Behaviour behaviour_named(std::string_view text);

/// Each request decides: its header `x-fault`, else its model where that is called `fault/NAME`, else it is answered by
/// `otherwise`. A name that there is not is 400, with what would be accepted.
[[nodiscard]] Behaviour as_requested(Behaviour otherwise = answer());

}  // namespace backstop::faults
