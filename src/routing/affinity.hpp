#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// Which candidate a session is with. So many are remembered, each for some time after it was noted last; where there is
/// no room, the one that was noted longest ago among eight gives its place. Sessions are told apart by 64 bits of a hash.
///
/// Thread safety: any number of threads; one short lock. Allocates on construction only.
class Affinity {
 public:
  /// An answer that a candidate has given to a session.
  struct Place {
    std::size_t candidate = 0;
    TimePoint at = TimePoint::min();
    std::int64_t input_tokens = 0;  ///< that it had read by then
  };
  struct Session {
    Place last;
    TimePoint since = TimePoint::min();  ///< it is with that candidate
    Place before;                        ///< the last with another; the beginning of time: none
  };

  Affinity(std::size_t most, Duration forget_after);

  [[nodiscard]] std::optional<Session> find(std::string_view session, TimePoint now) const noexcept;
  void note(std::string_view session, const Place& answer) noexcept;

 private:
  struct Entry {
    std::uint64_t hash = 0;
    Session session;

    [[nodiscard]] bool is(std::uint64_t asked) const noexcept {
      return hash == asked && session.last.at != TimePoint::min();
    }
  };
  static constexpr std::size_t group = 8;

  [[nodiscard]] std::size_t group_of(std::uint64_t session) const noexcept;

  Duration forget_after_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace backstop::inline v0::detail
