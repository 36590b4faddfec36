#pragma once

#include <cstddef>

#include "backstop/export.hpp"

namespace backstop::inline v0::detail {

/// Memory for what every call makes and drops: coroutine frames and results. A small free list per thread and size, so
/// that a warm call path does not reach the heap. A block may be given back on another thread than the one that took
/// it. Under AddressSanitizer every block comes from the heap, so that use after destruction is found.
[[nodiscard]] BACKSTOP_EXPORT void* allocate_pooled(std::size_t size);
BACKSTOP_EXPORT void deallocate_pooled(void* block, std::size_t size) noexcept;

/// The same for what says that something has failed, of at most 512 bytes: where there is no memory, a few such blocks
/// are kept for it.
[[nodiscard]] BACKSTOP_EXPORT void* allocate_for_failure(std::size_t size);
BACKSTOP_EXPORT void deallocate_for_failure(void* block, std::size_t size) noexcept;

}  // namespace backstop::inline v0::detail
