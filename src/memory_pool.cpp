#include "backstop/memory_pool.hpp"

#include <new>

#include "process/thread_end.hpp"

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
/// Room for no block at all says that the list is full, or that the thread has not begun to keep any, or has ended.
struct FreeList {
  FreeBlock* first = nullptr;
  std::size_t room = 0;
};

thread_local FreeList free_lists[classes];

void drop_all() noexcept {
  for (FreeList& list : free_lists) {
    list.room = 0;
    while (list.first != nullptr) {
      FreeBlock* block = list.first;
      list.first = block->next;
      ::operator delete(block);
    }
  }
}

ThreadEnd thread_end{&drop_all};
thread_local bool keeps = false;

[[nodiscard]] constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / step; }

void keep(void* block, FreeList& list) noexcept {
  list.first = new (block) FreeBlock{list.first};
  --list.room;
}

[[gnu::noinline]] void deallocate_without_room(void* block, std::size_t index) noexcept {
  if (!keeps && thread_end.watch()) {
    keeps = true;
    for (FreeList& list : free_lists) list.room = kept_per_class;
  }
  if (index < classes && free_lists[index].room > 0) return keep(block, free_lists[index]);
  ::operator delete(block);
}

}  // namespace

void* allocate_pooled(std::size_t size) {
  const std::size_t index = class_of(size);
  if (index >= classes) return ::operator new(size);
  FreeList& list = free_lists[index];
  if (list.first == nullptr) return ::operator new((index + 1) * step);
  FreeBlock* block = list.first;
  list.first = block->next;
  ++list.room;
  return block;
}

void deallocate_pooled(void* block, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (index >= classes || free_lists[index].room == 0) return deallocate_without_room(block, index);
  keep(block, free_lists[index]);
}
#else
void* allocate_pooled(std::size_t size) { return ::operator new(size); }
void deallocate_pooled(void* block, std::size_t) noexcept { ::operator delete(block); }
#endif

}  // namespace backstop::inline v0::detail
