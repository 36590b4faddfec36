#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/target.hpp"

namespace backstop::inline v0 {

/// What earlier failures of a call ask of the next target, at whatever level they were.
struct Requirement {
  /// Targets that share a failure domain, and how one of them failed.
  struct FailedDomain {
    Target target;
    ErrorKind why;
  };

  std::optional<std::int64_t> window_above{};  ///< the conversation did not fit this many tokens
  std::optional<Money> cheaper_than{};         ///< a cap had no room for a send that may cost this
  bool priced = false;                         ///< a cap needs to know what a send may cost
  std::vector<FailedDomain> failed_domains{};
  std::vector<Target> failed{};  ///< with failures that do not pass with time: not asked again
};

}  // namespace backstop::inline v0
