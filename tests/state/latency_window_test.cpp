#include "state/latency_window.hpp"

#include <catch2/catch_test_macros.hpp>

#include <thread>
#include <vector>

namespace latency_window_test {

using namespace backstop;
using namespace std::chrono_literals;

TEST_CASE("there is no percentile before there are samples enough") {
  LatencyWindow window{0.95, 50};
  for (int i = 1; i < 50; ++i) window.record(i * 1ms);
  CHECK_FALSE(window.percentile());
  window.record(50ms);
  CHECK(window.percentile() == 48ms);
}

TEST_CASE("only the latest samples count") {
  LatencyWindow window{0.5, 1};
  for (int i = 0; i < 256; ++i) window.record(1s);
  CHECK(window.percentile() == 1s);
  for (int i = 0; i < 256; ++i) window.record(2s);
  CHECK(window.percentile() == 2s);
}

TEST_CASE("a window is read while others record", "[scenario-178]") {
  LatencyWindow window{0.95, 1};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 2; ++writer) {
    writers.emplace_back([&window] {
      for (int i = 0; i < 5000; ++i) window.record(i % 2 == 0 ? 1s : 2s);
    });
  }
  bool torn = false;
  for (int i = 0; i < 5000; ++i) {
    const auto seen = window.percentile();
    torn = torn || (seen && *seen != 1s && *seen != 2s);
  }
  for (std::thread& writer : writers) writer.join();
  CHECK_FALSE(torn);
}

}  // namespace latency_window_test
