#pragma once

#include <string>
#include <utility>

#include "backstop/policies/checks.hpp"

namespace backstop::testing {

/// Accepts the answers in which that word stands.
[[nodiscard]] inline Check says(std::string word) {
  return satisfies("says " + word, [word](const Answer& answer) -> Objection {
    if (answer.response.text().find(word) != std::string::npos) return std::nullopt;
    return "it does not say " + word;
  });
}

}  // namespace backstop::testing
