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
/// no room, the one that was noted longest ago gives its place. Sessions are told apart by 64 bits of a hash.
///
/// Thread safety: any number of threads; one short lock. Cost: the same for any number of sessions. Allocates on
/// construction only.
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
  static constexpr std::uint32_t nobody = UINT32_MAX;
  struct Entry {
    std::uint64_t hash = 0;
    Session session;
    std::uint32_t older = nobody;  // the one noted before it, and the one after
    std::uint32_t newer = nobody;
  };

  // With the lock held.
  void add(std::uint64_t hash, const Place& answer) noexcept;
  [[nodiscard]] std::size_t home_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>(hash) & (index_.size() - 1);
  }
  [[nodiscard]] std::size_t after(std::size_t slot) const noexcept { return (slot + 1) & (index_.size() - 1); }
  /// Where the session stands in the index, or would.
  [[nodiscard]] std::size_t slot_of(std::uint64_t hash) const noexcept;
  void vacate(std::size_t slot) noexcept;
  /// As the one noted last.
  void link(std::uint32_t place) noexcept;
  void unlink(std::uint32_t place) noexcept;

  Duration forget_after_;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> index_;  // places in `entries_`, at least half of it vacant
  std::uint32_t used_ = 0;
  std::uint32_t oldest_ = nobody;
  std::uint32_t newest_ = nobody;
};

}  // namespace backstop::inline v0::detail
