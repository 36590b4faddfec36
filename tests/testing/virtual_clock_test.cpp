#include "backstop/testing/virtual_clock.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace virtual_clock_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

TEST_CASE("threads that move and read a virtual clock see no time go back") {
  VirtualClock clock;
  const TimePoint start = clock.now();
  const WallTime wall_start = clock.wall_now();
  std::atomic<bool> went_back{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      TimePoint last = start;
      for (int step = 1; step <= 1000; ++step) {
        clock.advance_to(start + step * 1ms);
        clock.jump_wall(step % 2 == 0 ? 1ms : -1ms);
        if (clock.now() < last) went_back = true;
        last = clock.now();
        static_cast<void>(clock.wall_now());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(went_back);
  CHECK(clock.now() == start + 1s);
  CHECK(clock.wall_now() == wall_start + 1s);
}

}  // namespace virtual_clock_test
