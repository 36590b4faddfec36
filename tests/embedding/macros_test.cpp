// Compiled without the tests' precompiled headers: what stands before the library's headers is what it is about.

// The standard library's own headers do not stand macros before them.
#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <compare>
#include <concepts>
#include <condition_variable>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

// As Qt and the Windows headers have them.
#define emit
#define signals public
#define slots
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))

#include <backstop/backstop.hpp>
#include <backstop/testing/event_log.hpp>
#include <backstop/testing/faults.hpp>
#include <backstop/testing/inject_faults.hpp>
#include <backstop/testing/scripted_provider.hpp>
#include <backstop/testing/virtual_runtime.hpp>

namespace macros_test {

TEST_CASE("the headers take macros of the application's other libraries") {
  backstop::testing::VirtualRuntime runtime;
  const backstop::testing::ScriptedProvider model{"one/a", {backstop::testing::answer("hi")}};
  const backstop::FallbackClient client{{model | backstop::standard()}, {.runtime = runtime.share()}};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "hi");
  CHECK(max(1, 2) == 2);
}

}  // namespace macros_test
