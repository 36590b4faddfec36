#include "backstop/memory_pool.hpp"

#include <atomic>
#include <bit>
#include <cstdint>
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

void keep_block(void* block, FreeList& list) noexcept {
  list.first = new (block) FreeBlock{list.first};
  --list.room;
}

[[gnu::noinline]] void deallocate_without_room(void* block, std::size_t index) noexcept {
  if (!keeps && thread_end.watch()) {
    keeps = true;
    for (FreeList& list : free_lists) list.room = kept_per_class;
  }
  if (index < classes && free_lists[index].room > 0) return keep_block(block, free_lists[index]);
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
  keep_block(block, free_lists[index]);
}
#else
void* allocate_pooled(std::size_t size) { return ::operator new(size); }
void deallocate_pooled(void* block, std::size_t) noexcept { ::operator delete(block); }
#endif

namespace {

/// For the failures of calls that have no memory.
class LastBlocks {
 public:
  [[nodiscard]] void* take() noexcept {
    std::uint32_t taken = taken_.load(std::memory_order_relaxed);
    while (~taken != 0) {
      const int index = std::countr_one(taken);
      if (taken_.compare_exchange_weak(taken, taken | 1U << index, std::memory_order_acquire)) return blocks_[index];
    }
    return nullptr;
  }
  /// False: it is none of these.
  [[nodiscard]] bool give_back(void* block) noexcept {
    const auto offset = reinterpret_cast<std::uintptr_t>(block) - reinterpret_cast<std::uintptr_t>(blocks_);
    if (offset >= sizeof blocks_) return false;
    taken_.fetch_and(~(1U << (offset / size)), std::memory_order_release);
    return true;
  }

  static constexpr std::size_t size = 512;

 private:
  alignas(std::max_align_t) unsigned char blocks_[32][size];
  std::atomic<std::uint32_t> taken_{0};
};

// Trivially destructible, so that it stays usable while static objects are destroyed.
LastBlocks last_blocks;

}  // namespace

void* allocate_for_failure(std::size_t size) {
  try {
    return allocate_pooled(size);
  } catch (const std::bad_alloc&) {
    if (void* const block = size <= LastBlocks::size ? last_blocks.take() : nullptr) return block;
    throw;
  }
}

void deallocate_for_failure(void* block, std::size_t size) noexcept {
  if (!last_blocks.give_back(block)) deallocate_pooled(block, size);
}

}  // namespace backstop::inline v0::detail
