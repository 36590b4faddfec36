// The system's look-up of names is replaced for this program: one name takes long.

#include <dlfcn.h>
#include <netdb.h>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "support/fault_server.hpp"

namespace slow_lookup_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {
std::atomic<int> slow_lookups{0};
std::atomic<int> ended_lookups{0};
std::promise<void> over;  // the test
const std::shared_future<void> test_is_over = over.get_future().share();
}

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using Real = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const Real real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node != nullptr && std::string_view{node} == "slow.test") {
    ++slow_lookups;
    test_is_over.wait_for(10s);
    ++ended_lookups;
    return EAI_NONAME;
  }
  return real(node, service, hints, found);
}

TEST_CASE("a name that takes long to look up holds up neither other calls nor its own end") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const auto provider = [](std::string base_url) {
    return openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = std::move(base_url)});
  };
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient slow{{provider("http://slow.test/v1")}, options};
  const FallbackClient quick{{provider(server.base_url("/v1"))}, options};

  const auto begun = std::chrono::steady_clock::now();
  PendingCall waits = slow.start("Hi");
  while (slow_lookups == 0 && std::chrono::steady_clock::now() - begun < 5s) std::this_thread::yield();
  REQUIRE(slow_lookups == 1);
  CHECK(quick.chat("Hi"));
  CHECK(slow.chat("Hi", {.limits = {.deadline = 100ms}}).error().kind == ErrorKind::deadline_exceeded);
  waits.cancel();
  CHECK(waits.wait().error().kind == ErrorKind::cancelled);
  CHECK(std::chrono::steady_clock::now() - begun < 8s);  // the look-up goes on until the test is over
  over.set_value();
  // Their threads use what the end of the process destroys.
  while (ended_lookups < slow_lookups && std::chrono::steady_clock::now() - begun < 20s) std::this_thread::yield();
  CHECK(ended_lookups == slow_lookups);
}

}  // namespace slow_lookup_test
