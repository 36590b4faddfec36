#include "support/allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

thread_local std::size_t allocations_made = 0;

namespace {

std::atomic<long> allocations_to_failure{0};  // 0: none fails
std::atomic<bool> goes_on{false};             // once it has begun
std::atomic<bool> has_failed{false};
thread_local bool may_fail = false;

bool fails() noexcept {
  ++allocations_made;
  if (!may_fail || allocations_to_failure.load(std::memory_order_relaxed) <= 0) return false;
  if (goes_on && has_failed) return true;
  if (allocations_to_failure.fetch_sub(1, std::memory_order_relaxed) != 1) return false;
  has_failed = true;
  if (goes_on) allocations_to_failure = 1;
  return true;
}

}  // namespace

void* operator new(std::size_t size) {
  if (fails()) throw std::bad_alloc{};
  if (void* memory = std::malloc(size != 0 ? size : 1)) return memory;
  throw std::bad_alloc{};
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return fails() ? nullptr : std::malloc(size != 0 ? size : 1);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace failing_allocations {

void begin(long nth, Which which) {
  may_fail = true;
  goes_on = which == Which::all_from_there;
  has_failed = false;
  allocations_to_failure = nth;
}

bool end() {
  may_fail = false;
  allocations_to_failure = 0;
  return has_failed;
}

void include_this_thread() { may_fail = true; }

Pause::Pause() noexcept : before_{may_fail} { may_fail = false; }
Pause::~Pause() { may_fail = before_; }

}  // namespace failing_allocations
