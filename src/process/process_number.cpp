#include "process/process_number.hpp"

#include <pthread.h>

#include <atomic>

namespace backstop::inline v0::detail {
namespace {

std::atomic<unsigned> this_number{0};

// Set up by a static object, before anything of the library's is made. Where that fails, forks are not noticed.
const int watched = ::pthread_atfork(nullptr, nullptr, [] { this_number.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

unsigned process_number() noexcept {
  static_cast<void>(watched);
  return this_number.load(std::memory_order_relaxed);
}

}  // namespace backstop::inline v0::detail
