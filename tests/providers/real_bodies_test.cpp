#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/matchers.hpp"
#include "support/compressed.hpp"
#include "support/fault_http.hpp"
#include "support/fault_server.hpp"

namespace real_bodies_test {

using namespace backstop;
using namespace backstop::testing;
using namespace backstop::testing_support;
using namespace std::chrono_literals;
using faults::FaultServer;

/// Bodies over real sockets: what libcurl hands on, and how long a call takes.
namespace {

Provider model(const FaultServer& server) {
  return openai({.model = "gpt-4o", .api_key = "key", .base_url = server.base_url("/v1")});
}

/// A client that asks once and waits for nothing.
FallbackClient once(Provider provider) {
  FallbackOptions options;
  options.recovery.max_wait = Duration::zero();
  return FallbackClient{{std::move(provider)}, std::move(options)};
}

std::string whole(std::string_view text) {
  return R"({"choices":[{"message":{"content":")" + std::string{text} + R"("},"finish_reason":"stop"}]})";
}

/// These bytes behind that head, and nothing more on an open connection.
faults::Behaviour endless(std::string head, std::string body) {
  faults::Script script = faults::sending(std::move(head) + std::move(body));
  script.steps.emplace_back(faults::Hang{});
  return faults::fixed("endless", std::move(script));
}

std::string head(int status, std::string_view type) {
  return faults::response_head(status, {{"content-type", std::string{type}}, {"transfer-encoding", "chunked"}});
}

Duration elapsed_since(std::chrono::steady_clock::time_point start) { return std::chrono::steady_clock::now() - start; }

}  // namespace

TEST_CASE("compressed bodies arrive as they were meant, labelled rightly, wrongly or not at all") {
  FaultServer server;
  const FallbackClient client = once(model(server));
  for (const std::string_view label : {"gzip", "utf-8", "none", ""}) {
    for (const bool zipped : {false, true}) {
      faults::HeaderList headers{{"content-type", "application/json"}};
      if (!label.empty()) headers.emplace_back("content-encoding", label);
      const std::string body = whole("Hello");
      server.next(
          faults::raw(faults::whole_response(200, headers, zipped ? compressed(body, Coding::gzip) : body), false));
      CAPTURE(label, zipped);
      CHECK(answers(client.chat("Hi"), "Hello"));
    }
  }
  const std::string refusal = R"({"error":{"message":"slow down","code":"insufficient_quota"}})";
  server.next(faults::raw(
      faults::whole_response(429, {{"content-encoding", "gzip"}}, compressed(refusal, Coding::gzip)), false));
  CHECK(client.chat("Hi").error().kind == ErrorKind::quota_exhausted);
  bool asked = false;
  const auto requests = server.requests();
  for (const auto& [name, value] : requests.back().headers) {
    asked = asked || (name == "accept-encoding" && value == "gzip, deflate");
  }
  CHECK(asked);
}

TEST_CASE("bodies that never end hold no call") {
  FaultServer server;
  const FallbackClient client = once(model(server) | timeout(20s));
  const std::string words = R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})";
  const auto start = std::chrono::steady_clock::now();
  server.next(endless(head(429, "application/json"), faults::chunk(words)));
  const auto refused = client.chat("Hi");
  REQUIRE(fails_with(refused, ErrorKind::rate_limited));
  CHECK(refused.error().provider_message == "slow down");
  server.next(endless(head(200, "application/json"), faults::chunk(whole("Hello"))));
  CHECK(answers(client.chat("Hi"), "Hello"));
  CHECK(elapsed_since(start) < 2s);
}

TEST_CASE("a plain call that streams on the wire has its first token when that comes, not when all is there") {
  FaultServer server;
  server.always(faults::answer(faults::Answer{.text = "a b c d e f", .delay_between = 100ms}));
  const FallbackClient client{model(server) |
                              timeout({.first_token = 250ms, .plain_calls_stream = PlainCallsStream::always})};
  const auto reply = client.chat("Hi");
  REQUIRE(answers(reply, "a b c d e f"));
  CHECK(*reply->attempts.at(0).ttft < 250ms);
  CHECK(reply->elapsed > 400ms);
}

}  // namespace real_bodies_test
