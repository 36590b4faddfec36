#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace backstop::inline v0::detail {

/// A few objects per thread that are dear to make and can be used again, such as grown buffers and parsers.
/// Usable until the very end of the thread: it is then empty and keeps nothing.
template <class T, std::size_t most_kept>
class ThreadCache {
 public:
  [[nodiscard]] static std::optional<T> take() {
    if (closed_ || kept().items.empty()) return std::nullopt;
    std::optional<T> item{std::move(kept().items.back())};
    kept().items.pop_back();
    return item;
  }
  static void keep(T item) noexcept {
    if (closed_) return;
    std::vector<T>& items = kept().items;
    if (items.size() < items.capacity()) items.push_back(std::move(item));
  }

 private:
  struct Kept {
    Kept() { items.reserve(most_kept); }
    ~Kept() { closed_ = true; }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    std::vector<T> items;
  };
  static Kept& kept() {
    thread_local Kept kept;
    return kept;
  }
  // Trivially destructible, so that it can be asked while the thread's other objects are destroyed.
  inline static thread_local bool closed_ = false;
};

}  // namespace backstop::inline v0::detail
