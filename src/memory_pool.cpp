#include "backstop/memory_pool.hpp"

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define BACKSTOP_POOL_MEMORY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BACKSTOP_POOL_MEMORY 0
#endif
#endif
#ifndef BACKSTOP_POOL_MEMORY
#define BACKSTOP_POOL_MEMORY 1
#endif

namespace backstop::inline v0::detail {

#if BACKSTOP_POOL_MEMORY
namespace {

constexpr std::size_t step = 128;
constexpr std::size_t classes = 32;        // blocks up to 4 KiB
constexpr std::size_t kept_per_class = 64;

struct FreeBlock {
  FreeBlock* next;
};
struct FreeList {
  FreeBlock* first = nullptr;
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
        FreeBlock* block = list.first;
        list.first = block->next;
        ::operator delete(block);
      }
      list.count = 0;
    }
  }
};

}  // namespace

void* allocate_pooled(std::size_t size) {
  const std::size_t index = (size + step - 1) / step;
  if (index == 0 || index > classes) return ::operator new(size);
  FreeList& list = free_lists[index - 1];
  if (list.first != nullptr) {
    FreeBlock* block = list.first;
    list.first = block->next;
    --list.count;
    return block;
  }
  return ::operator new(index * step);
}

void deallocate_pooled(void* block, std::size_t size) noexcept {
  const std::size_t index = (size + step - 1) / step;
  if (index == 0 || index > classes || closed) {
    ::operator delete(block);
    return;
  }
  FreeList& list = free_lists[index - 1];
  if (list.count >= kept_per_class) {
    ::operator delete(block);
    return;
  }
  if (list.first == nullptr) {
    static thread_local Drain drain;
    static_cast<void>(drain);
  }
  list.first = new (block) FreeBlock{list.first};
  ++list.count;
}
#else
void* allocate_pooled(std::size_t size) { return ::operator new(size); }
void deallocate_pooled(void* block, std::size_t) noexcept { ::operator delete(block); }
#endif

}  // namespace backstop::inline v0::detail
