#pragma once

#include <cstddef>

/// How often this thread has asked the heap for memory; `operator new` of this program counts it.
extern thread_local std::size_t allocations_made;

/// Memory that runs out on demand: on this thread, and on those that have said so.
namespace failing_allocations {

/// The n-th allocation from now on fails, once or with all that follow.
enum class Which : bool { one, all_from_there };
void begin(long nth, Which which = Which::one);
/// Whether it has come to that. None fails from now on.
bool end();

/// On another thread: its allocations count too.
void include_this_thread();

/// Allocations of this thread do not count meanwhile: they are the test's own.
class Pause {
 public:
  Pause() noexcept;
  ~Pause();
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  bool before_;
};

}  // namespace failing_allocations
