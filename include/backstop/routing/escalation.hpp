#pragma once

#include <cstdint>

namespace backstop::inline v0 {

/// What the next target of a client is told of an answer that a quality floor (`accept_if`) has refused.
enum class Escalation : std::uint8_t {
  none,        ///< nothing: the refused answer reaches no other target
  with_draft,  ///< the answer as the assistant's turn, and the reasons as the user's
};

}  // namespace backstop::inline v0
