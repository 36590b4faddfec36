#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

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
  std::optional<Target> only{};                ///< the one whose answer is to be repaired
  std::vector<FailedDomain> failed_domains{};
  std::vector<Target> failed{};  ///< with failures that do not pass with time: not asked again
  std::vector<Target> failed_as_asked{};  ///< likewise, by what the request has: not asked the same again
  /// Targets that failed in ways that time mends.
  struct Tried {
    Target target;
    TimePoint at;
    bool may_be_asked = false;  ///< again: nobody else is left
  };
  std::vector<Tried> tried{};
  bool left_some = false;        ///< a client inside has left targets of its own to others, for now

  [[nodiscard]] BACKSTOP_EXPORT const Tried* find_tried(const Target& target) const noexcept;
  BACKSTOP_EXPORT void note_tried(const Target& target, TimePoint at);
  /// Of attempts that were made for several calls together.
  BACKSTOP_EXPORT void add(const Requirement& other);
};

}  // namespace backstop::inline v0
