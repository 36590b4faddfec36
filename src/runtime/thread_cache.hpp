#pragma once

#include <cstddef>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "process/thread_end.hpp"

namespace backstop::inline v0::detail {

/// A few objects per thread that are dear to make and can be used again, such as grown buffers and parsers.
/// Usable until the very end of the thread and of the process: then it keeps nothing.
template <class T, std::size_t most_kept>
class ThreadCache {
 public:
  [[nodiscard]] static std::optional<T> take() {
    if (items_ == nullptr || items_->empty()) return std::nullopt;
    std::optional<T> item{std::move(items_->back())};
    items_->pop_back();
    return item;
  }
  static void keep(T item) noexcept {
    if (items_ == nullptr && !begin()) return;
    if (items_->size() < items_->capacity()) items_->push_back(std::move(item));
  }

 private:
  [[nodiscard]] static bool begin() noexcept {
    if (!thread_end_.watch()) return false;
    try {
      auto* const items = new std::vector<T>;
      items_ = items;
      items->reserve(most_kept);
    } catch (const std::bad_alloc&) {  // then nothing is kept
    }
    return items_ != nullptr;
  }
  static void clean_up() noexcept { delete std::exchange(items_, nullptr); }

  inline static thread_local std::vector<T>* items_ = nullptr;
  inline static ThreadEnd thread_end_{&ThreadCache::clean_up};
};

}  // namespace backstop::inline v0::detail
