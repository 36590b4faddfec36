#pragma once

#include <cstddef>

#include "backstop/export.hpp"

namespace backstop::inline v0::detail {

/// Memory for coroutine frames: a small free list per thread and size, so that a warm call path does not reach the
/// heap. A frame may be given back on another thread than the one that took it. Under AddressSanitizer every frame
/// comes from the heap, so that use after destruction is seen.
[[nodiscard]] BACKSTOP_EXPORT void* allocate_frame(std::size_t size);
BACKSTOP_EXPORT void deallocate_frame(void* frame, std::size_t size) noexcept;

}  // namespace backstop::inline v0::detail
