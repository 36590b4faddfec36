#pragma once

#include <new>
#include <utility>

namespace backstop::inline v0::detail {

/// A static object that stays usable while the other static ones are destroyed. It has no memory of its own, so that a
/// module that is unloaded leaves nothing behind but what the object holds.
template <class T>
class NeverDestroyed {
 public:
  template <class... Arguments>
  explicit NeverDestroyed(Arguments&&... arguments) : object_{new (place_) T(std::forward<Arguments>(arguments)...)} {}
  NeverDestroyed(const NeverDestroyed&) = delete;
  NeverDestroyed& operator=(const NeverDestroyed&) = delete;

  [[nodiscard]] T& operator*() const noexcept { return *object_; }

 private:
  alignas(T) unsigned char place_[sizeof(T)];
  T* object_;
};

}  // namespace backstop::inline v0::detail
