#pragma once

#include <string>

#include "backstop/chat/message.hpp"

namespace backstop::inline v0 {

/// An answer that a quality floor (`accept_if`) has refused, and why.
struct RejectedAnswer {
  Message draft{};        ///< as the assistant's turn
  std::string reasons{};  ///< in words, a judge's own included
};

}  // namespace backstop::inline v0
