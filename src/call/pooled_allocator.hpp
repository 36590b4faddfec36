#pragma once

#include <cstddef>

#include "backstop/memory_pool.hpp"

namespace backstop::inline v0::detail {

/// For `std::allocate_shared` of what every call makes.
template <class T>
struct PooledAllocator {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  using value_type = T;

  PooledAllocator() noexcept = default;
  template <class U>
  PooledAllocator(const PooledAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(allocate_pooled(count * sizeof(T))); }
  void deallocate(T* block, std::size_t count) noexcept { deallocate_pooled(block, count * sizeof(T)); }
  friend bool operator==(const PooledAllocator&, const PooledAllocator&) noexcept { return true; }
};

}  // namespace backstop::inline v0::detail
