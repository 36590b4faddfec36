#include "runtime/http_exchange.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "support/fault_server.hpp"
#include "support/poster.hpp"

namespace http_exchange_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

// Real sockets: what libcurl and the exchange make of what servers do.

namespace {

FallbackClient client_of(const std::string& url, bool stream = false) {
  FallbackOptions options;
  options.recovery.max_wait = Duration::zero();
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  return FallbackClient{{Provider{Poster{url, stream}}}, std::move(options)};
}

}  // namespace

TEST_CASE("an answer arrives with its status, its header fields and its body") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const auto reply = client_of(server.base_url("/v1/chat/completions")).chat("x");
  REQUIRE(reply);
  CHECK(reply->usage.output_tokens == 200);
  CHECK_THAT(reply->text(), ContainsSubstring("All is well."));
}

TEST_CASE("a connection serves one call after another", "[scenario-21]") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"));
  for (int i = 0; i < 100; ++i) REQUIRE(client.chat("x"));
  CHECK(server.request_count() == 100);
  CHECK(server.connection_count() == 1);
}

TEST_CASE("nobody listens: connect_failed, and nothing was sent") {
  std::string url;
  {
    faults::FaultServer gone;
    url = gone.base_url("/v1/chat/completions");
  }
  const auto reply = client_of(url).chat("x");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  CHECK(reply.error().replay == ReplaySafety::not_sent);
  CHECK_THAT(reply.error().message, ContainsSubstring("127.0.0.1"));
}

TEST_CASE("an address that cannot be right is not worth a retry") {
  const auto reply = client_of("ftp://127.0.0.1/x").chat("x");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  CHECK(reply.error().should_retry == false);
}

TEST_CASE("a connection closed before an answer may have been processed") {
  faults::FaultServer server;
  for (auto behaviour : {faults::close_after_request(), faults::reset_before_headers()}) {
    server.next(behaviour);
    const auto reply = client_of(server.base_url("/v1/chat/completions")).chat("x");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::connect_failed);
    CHECK(reply.error().replay == ReplaySafety::maybe_processed);
  }
}

TEST_CASE("a kept connection that dies with a request on it is a failure of that request, and nothing is sent again") {
  for (const bool stream : {false, true}) {
    faults::FaultServer server;
    const FallbackClient client = client_of(server.base_url("/v1/chat/completions"), stream);
    server.next(faults::answer("First."));
    server.next(faults::close_after_request());
    server.always(faults::answer("Not asked for."));
    REQUIRE(client.chat("x"));
    const auto reply = client.chat("x");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::connect_failed);
    CHECK(reply.error().replay == ReplaySafety::maybe_processed);
    CHECK_THAT(reply.error().message, ContainsSubstring("closed the connection without an answer"));
    CHECK(reply.error().attempts.size() == 1);
    CHECK(server.request_count() == 2);

    CHECK(client.chat("x"));
    CHECK(server.request_count() == 3);
  }
}

TEST_CASE("a connection that was closed while nobody used it costs nothing") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"));
  server.always(faults::answer("All is well."));
  for (std::size_t round = 1; round <= 5; ++round) {
    const auto reply = client.chat("x");
    REQUIRE(reply);
    CHECK(reply->attempts.size() == 1);
    CHECK(server.request_count() == round);
    // The server may not know yet that its answer is out.
    for (int i = 0; i < 1000 && server.open_connections() != 0; ++i) server.drop_idle_connections();
    CHECK(server.open_connections() == 0);
  }
  CHECK(server.connection_count() == 5);
}

TEST_CASE("a body that breaks off is never an answer") {
  faults::FaultServer server;
  for (auto behaviour : {faults::truncated_body(), faults::reset_after_headers()}) {
    server.next(behaviour);
    const auto reply = client_of(server.base_url("/v1/chat/completions")).chat("x");
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  }
}

TEST_CASE("header fields without end are refused") {
  faults::FaultServer server;
  server.next(faults::huge_header(90'000));
  CHECK(client_of(server.base_url("/v1/chat/completions")).chat("x"));
  std::string flood = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 40; ++i) flood += "x-padding: " + std::string(10'000, 'a') + "\r\n";
  server.next(faults::raw(flood + "\r\n"));
  const auto reply = client_of(server.base_url("/v1/chat/completions")).chat("x");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::malformed_response);
  CHECK_THAT(reply.error().message, ContainsSubstring("header fields"));
}

TEST_CASE("cancelling closes the socket, wherever the call waits", "[scenario-61][scenario-195]") {
  faults::FaultServer server;
  const FallbackClient plain = client_of(server.base_url("/v1/chat/completions"));
  const FallbackClient streaming = client_of(server.base_url("/v1/chat/completions"), true);
  for (const FallbackClient* client : {&plain, &streaming}) {
    const std::size_t left = server.disconnect_count();
    server.next(client == &plain ? faults::silence() : faults::stall_stream(2));
    PendingCall call = client->start("x");
    const std::size_t asked = server.request_count();
    static_cast<void>(server.wait_for_requests(asked + 1, 2s));
    const auto start = std::chrono::steady_clock::now();
    call.cancel();
    CHECK(call.wait().error().kind == ErrorKind::cancelled);
    CHECK(std::chrono::steady_clock::now() - start < 200ms);
    CHECK(server.wait_for_disconnect(2s, left + 1));
  }
  CHECK(server.open_connections() == 0);
}

TEST_CASE("a consumer that does not read makes the network wait, not the memory grow") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"), true);
  // A second call keeps the background driver reading while the consumer of the stream is away.
  server.always(faults::stall_stream(0));
  PendingCall background = client.start("x");
  server.next(faults::answer({.text = std::string(40'000'000, 'y'), .tokens_per_event = 1}));
  ChatStream stream = client.stream("x");
  REQUIRE(stream.next() != nullptr);
  // Until nothing moves any more: what is in flight is bounded by the buffers on the way.
  std::uint64_t before = 0;
  for (std::uint64_t now = server.bytes_sent(); now != before; now = server.bytes_sent()) {
    before = now;
    static_cast<void>(server.wait_for_requests(1000, 100ms));
  }
  CHECK(before < 30'000'000);
  stream.cancel();
  background.cancel();
}

TEST_CASE("a server that gives up a kept connection with 408 is asked again at once, on a fresh one") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"));
  server.always(faults::answer("All is well."));
  REQUIRE(client.chat("x"));
  const std::string timed_out = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  SECTION("once") {
    server.next(faults::raw(timed_out));
    const auto reply = client.chat("x");
    REQUIRE(reply);
    CHECK_THAT(reply->text(), ContainsSubstring("All is well."));
    CHECK(reply->attempts.size() == 1);
    CHECK(server.request_count() == 3);
    CHECK(server.connection_count() == 2);
  }
  SECTION("on the fresh connection it is an answer like any other") {
    server.next(faults::raw(timed_out));
    server.next(faults::raw(timed_out));
    const auto reply = client.chat("x");
    REQUIRE(reply);  // the reader of these tests takes any body
    CHECK(server.request_count() == 3);
  }
}

TEST_CASE("a 408 on a connection that is new is an answer like any other") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"));
  server.always(faults::raw("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
  REQUIRE(client.chat("x"));  // the reader of these tests takes any body
  CHECK(server.request_count() == 1);
}

TEST_CASE("a head that breaks off is a connection that was closed") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"));
  server.always(faults::raw("HTTP/1.1 200 OK\r\ncontent-ty"));
  const auto reply = client.chat("x");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  CHECK(reply.error().replay == ReplaySafety::maybe_processed);
}

TEST_CASE("hundreds of open streams do not hold up those that flow") {
  faults::FaultServer server;
  const FallbackClient client = client_of(server.base_url("/v1/chat/completions"), true);
  constexpr int open = 300;
  for (int i = 0; i < open; ++i) server.next(faults::silence());
  std::vector<PendingCall> silent;
  for (int i = 0; i < open; ++i) silent.push_back(client.start("x"));
  REQUIRE(server.wait_for_requests(open, 20s));
  server.always(faults::answer("All is well."));
  for (int i = 0; i < 20; ++i) CHECK(client.start("x").wait());
}

}  // namespace http_exchange_test
