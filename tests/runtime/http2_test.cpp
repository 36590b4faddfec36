// HTTP/2 for real, with a server that falls silent: all requests to it share a connection.

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/openai.hpp"
#include "support/spawned_server.hpp"

namespace http2_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

class Http2Client {
 public:
  Http2Client() {
    RuntimeOptions runtime;
    runtime.http.ca_file = server_.file("ca.pem");
    runtime.http.resolve = {"localhost:" + std::to_string(server_.port()) + ":127.0.0.1"};
    options_.runtime = std::make_shared<Runtime>(std::move(runtime));
    options_.recovery.max_wait = 0s;
  }
  [[nodiscard]] FallbackClient with(const Policy& policy) const {
    return FallbackClient{{openai({.model = "m",
                                   .api_key = "sk-secret-0123456789",
                                   .base_url = "https://localhost:" + std::to_string(server_.port()) + "/v1"}) |
                           policy},
                          options_};
  }

 private:
  SpawnedServer server_{"node", "http2_server.mjs", "", "node and openssl are needed for a server that speaks HTTP/2"};
  FallbackOptions options_;
};

std::string text_of(const Result<ChatResponse>& reply) { return reply ? reply->text() : reply.error().message; }

}  // namespace

TEST_CASE("after a limit without a byte the next send goes over a new HTTP/2 connection") {
  const Http2Client http2;
  const FallbackClient client = http2.with(
      retry({.max_attempts = 2, .initial = 1ms}) | timeout({.first_byte = 300ms, .plain_calls_stream = PlainCallsStream::never}));
  CHECK(text_of(client.chat("one")) == "connection 1");
  const auto reply = client.chat("two");
  CHECK(text_of(reply) == "connection 2");
  REQUIRE(reply);
  CHECK(reply->attempts.size() == 2);
  CHECK(text_of(client.chat("three")) == "connection 2");
}

TEST_CASE("calls that begin while others wait on a silent HTTP/2 connection do not go onto it") {
  const Http2Client http2;
  const FallbackClient patient = http2.with(timeout({.attempt = 60s}));
  const FallbackClient client = http2.with(timeout({.first_byte = 300ms, .plain_calls_stream = PlainCallsStream::never}));
  CHECK(text_of(client.chat("one")) == "connection 1");
  PendingCall waits = patient.start("two");
  CHECK_FALSE(client.chat("three"));
  CHECK(text_of(client.chat("four")) == "connection 2");
  waits.cancel();
}

}  // namespace http2_test
