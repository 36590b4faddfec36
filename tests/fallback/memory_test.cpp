#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/metrics.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace memory_test {

using namespace backstop;
using namespace backstop::testing;

namespace {

/// Bytes of the heap that are in use; nothing where nobody counts them (other libraries, sanitizers).
std::optional<std::size_t> heap_in_use() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  const std::size_t bytes = mallinfo2().uordblks;
  if (bytes > 0) return bytes;
#endif
  return std::nullopt;
}

}  // namespace

TEST_CASE("memory grows with the targets that live, not with the calls", "[scenario-228]") {
  constexpr int targets = 1000;
  constexpr int rounds = 50;
  VirtualRuntime runtime;
  const auto before = heap_in_use();
  std::optional<std::size_t> warm;
  {
    auto metrics = std::make_shared<Metrics>();
    FallbackOptions options;
    options.recovery.max_wait = Duration::zero();
    options.runtime = runtime.share();
    options.observers = {metrics};
    std::vector<FallbackClient> clients;
    for (int i = 0; i < targets; ++i) {
      int count = i;  // every third call of each fails
      Provider model =
          make_provider("p/" + std::to_string(i), [count](const ChatRequest&) mutable -> Result<ChatResponse> {
            if (++count % 3 == 0) return Error{ErrorKind::invalid_request, "no"};
            ChatResponse response;
            response.parts = {Text{"ok"}};
            return response;
          });
      clients.emplace_back(std::vector<Provider>{model | standard()}, options);
    }
    const auto one_round = [&] {
      for (const FallbackClient& client : clients) static_cast<void>(client.chat("hello"));
    };
    for (int i = 0; i < 3; ++i) one_round();
    warm = heap_in_use();
    for (int i = 0; i < rounds; ++i) one_round();
    const auto after = heap_in_use();
    CHECK(metrics->snapshot().calls == static_cast<std::uint64_t>(targets * (rounds + 3)));
    if (warm && after) {
      CHECK(*after <= *warm + 64 * 1024);
      CHECK((*warm - *before) / targets < 8 * 1024);
    }
  }
  if (before && warm) CHECK(*heap_in_use() - *before < (*warm - *before) / 10);
}

}  // namespace memory_test
