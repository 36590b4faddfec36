#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backstop/chat/response.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// A cache at one moment.
struct AnswerCacheSnapshot {
  std::size_t entries = 0;
  std::size_t bytes = 0;     ///< about what they take
  std::int64_t hits = 0;     ///< since it was made
  std::int64_t misses = 0;
  std::int64_t dropped = 0;  ///< for want of room, before their time
};

/// Answers that may be given again; in memory, bounded, the least recently used go first. A handle: copies share what
/// is kept. Used by the `cache` policy, which decides what goes in and under which key.
///
/// Thread safety: any number of threads. Cost: each operation takes a short lock; a hit copies no answer.
class BACKSTOP_EXPORT AnswerCache {
 public:
  /// What its entries may take, keys included, and how long they stay when they are out of date, for who takes such
  /// ones (`degrade::cached`). Errors: std::invalid_argument for 0 bytes and a negative time.
  explicit AnswerCache(std::size_t max_bytes = default_max_bytes, Duration keep_outdated = Duration::zero());

  /// An answer and how long it has been kept.
  struct Aged {
    std::shared_ptr<const ChatResponse> answer{};
    Duration age{0};
  };

  /// The answer that is kept under the key and is not out of date; null when there is none.
  [[nodiscard]] std::shared_ptr<const ChatResponse> find(const std::string& key, TimePoint now) const;
  /// The same, out of date or not, if it is not older than that. Neither a hit nor a miss.
  [[nodiscard]] Aged find_aged(const std::string& key, TimePoint now, Duration max_age) const;
  /// The same; changes nothing, and is neither a hit nor a miss.
  [[nodiscard]] std::shared_ptr<const ChatResponse> peek(const std::string& key, TimePoint now) const noexcept;
  /// Keeps an answer until that moment, in place of an older one. One that is larger than the whole cache is not kept.
  void put(std::string key, ChatResponse answer, TimePoint now, TimePoint until) const;
  void clear() const noexcept;
  [[nodiscard]] AnswerCacheSnapshot snapshot() const noexcept;

  static constexpr std::size_t default_max_bytes = std::size_t{64} << 20U;

 private:
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace backstop::inline v0
