#include "backstop/runtime/frame_pool.hpp"

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define BACKSTOP_POOL_FRAMES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BACKSTOP_POOL_FRAMES 0
#endif
#endif
#ifndef BACKSTOP_POOL_FRAMES
#define BACKSTOP_POOL_FRAMES 1
#endif

namespace backstop::inline v0::detail {

#if BACKSTOP_POOL_FRAMES
namespace {

constexpr std::size_t step = 128;
constexpr std::size_t classes = 32;        // frames up to 4 KiB
constexpr std::size_t kept_per_class = 64;

struct FreeFrame {
  FreeFrame* next;
};
struct FreeList {
  FreeFrame* first = nullptr;
  std::size_t count = 0;
};

// Trivially destructible, so that it stays usable while the thread's other objects are destroyed.
thread_local FreeList free_lists[classes];
thread_local bool closed = false;

struct Drain {
  ~Drain() {
    closed = true;
    for (FreeList& list : free_lists) {
      while (list.first != nullptr) {
        FreeFrame* frame = list.first;
        list.first = frame->next;
        ::operator delete(frame);
      }
      list.count = 0;
    }
  }
};

}  // namespace

void* allocate_frame(std::size_t size) {
  const std::size_t index = (size + step - 1) / step;
  if (index == 0 || index > classes) return ::operator new(size);
  FreeList& list = free_lists[index - 1];
  if (list.first != nullptr) {
    FreeFrame* frame = list.first;
    list.first = frame->next;
    --list.count;
    return frame;
  }
  return ::operator new(index * step);
}

void deallocate_frame(void* frame, std::size_t size) noexcept {
  const std::size_t index = (size + step - 1) / step;
  if (index == 0 || index > classes || closed) {
    ::operator delete(frame);
    return;
  }
  FreeList& list = free_lists[index - 1];
  if (list.count >= kept_per_class) {
    ::operator delete(frame);
    return;
  }
  if (list.first == nullptr) {
    static thread_local Drain drain;
    static_cast<void>(drain);
  }
  list.first = new (frame) FreeFrame{list.first};
  ++list.count;
}
#else
void* allocate_frame(std::size_t size) { return ::operator new(size); }
void deallocate_frame(void* frame, std::size_t) noexcept { ::operator delete(frame); }
#endif

}  // namespace backstop::inline v0::detail
