#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "real_targets.hpp"

namespace real_failures_test {

using namespace backstop;
using namespace backstop::real_model;
using namespace std::chrono_literals;

namespace {

/// The server that answers when another fails: one for all cases of this file.
const RealModelServer& healthy() {
  static const RealModelServer running = RealModelServer::start({.context = 4096});
  return running;
}

ChatRequest question(std::int64_t tokens = 8) {
  ChatRequest request{"Tell me a long story about a lighthouse."};
  request.max_output_tokens = tokens;
  return request;
}

ChatRequest long_question() {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "The keeper of the lighthouse lit the lamp and watched the sea. ";
  ChatRequest request{text + "Tell me a story about the keeper."};
  request.max_output_tokens = 8;
  return request;
}

FallbackClient restarting(Provider first, Provider second) {
  FallbackOptions options;
  options.mid_stream = MidStream::restart;
  return FallbackClient{{std::move(first), std::move(second)}, std::move(options)};
}

}  // namespace

TEST_CASE("a prompt that is longer than the first target's context goes to the one with the larger window") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  const auto small = RealModelServer::start({.context = 256});
  const auto large = target_on(healthy(), wire, "large", {.context_window = 4096});

  SECTION("the window is known: nothing is sent to the small one") {
    const auto reply =
        FallbackClient{target_on(small, wire, "small", {.context_window = 256}), large}.chat(long_question());
    need(reply);
    CHECK(reply->served_by.name() == "large/smollm2");
    REQUIRE(reply->attempts.size() == 2);
    CHECK(reply->attempts[0].outcome == ErrorKind::context_window_exceeded);
    CHECK_FALSE(reply->attempts[0].sent);
  }
  SECTION("the window is not known: the server says so") {
    const auto reply = FallbackClient{target_on(small, wire, "small"), large}.chat(long_question());
    need(reply);
    CHECK(reply->served_by.name() == "large/smollm2");
    REQUIRE(reply->attempts.size() == 2);
    CHECK(reply->attempts[0].outcome == ErrorKind::context_window_exceeded);
    CHECK(reply->attempts[0].http_status == 400);
  }
}

TEST_CASE("a server killed in mid-stream: the stream restarts on the other one, and nothing is doubled") {
  need_real_model();
  const auto first_wire = GENERATE(Wire::openai, Wire::anthropic);
  const auto second_wire = first_wire == Wire::openai ? Wire::anthropic : Wire::openai;
  auto doomed = RealModelServer::start();
  const auto client = restarting(target_on(doomed, first_wire, "doomed"), target_on(healthy(), second_wire, "healthy"));

  std::string text;
  int pieces = 0;
  int restarts = 0;
  auto stream = client.stream(question(400));
  for (const StreamEvent& event : stream) {
    if (event.type == StreamEvent::Type::text) {
      text += event.delta;
      if (++pieces == 3) doomed.kill();
      if (restarts > 0 && pieces > 20) break;
    } else if (event.type == StreamEvent::Type::restarted) {
      CHECK(event.target.name() == "healthy/smollm2");
      CHECK(pieces >= 3);
      ++restarts;
      text.clear();
      pieces = 0;
    }
  }
  CHECK(restarts == 1);
  CHECK_FALSE(text.empty());
}

TEST_CASE("after a restart the answer is the second server's alone") {
  need_real_model();
  auto doomed = RealModelServer::start();
  const auto client =
      restarting(target_on(doomed, Wire::openai, "doomed"), target_on(healthy(), Wire::openai, "healthy"));

  std::string text;
  auto stream = client.stream(question(30));
  const StreamEvent* event = stream.next();
  REQUIRE(event != nullptr);
  REQUIRE(event->type == StreamEvent::Type::text);
  doomed.stop();  // stands still, so that the answer cannot end before it is killed
  doomed.kill();
  while ((event = stream.next()) != nullptr) {
    if (event->type == StreamEvent::Type::text) text += event->delta;
    if (event->type == StreamEvent::Type::restarted) text.clear();
  }
  const auto& reply = stream.result();

  need(reply);
  CHECK(reply->text() == text);
  CHECK(reply->served_by.name() == "healthy/smollm2");
  CHECK(reply->fallback);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::stream_interrupted);
  CHECK(reply->attempts[0].http_status == 200);
}

TEST_CASE("a server killed in mid-stream: by default the call fails with the text that came") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  auto doomed = RealModelServer::start();
  const FallbackClient client{target_on(doomed, wire, "doomed"), target_on(healthy(), wire, "healthy")};

  std::string text;
  int pieces = 0;
  auto stream = client.stream(question(400));
  for (const StreamEvent& event : stream) {
    if (event.type != StreamEvent::Type::text) continue;
    text += event.delta;
    if (++pieces == 3) doomed.kill();
  }
  const auto& reply = stream.result();

  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::stream_interrupted);
  CHECK(reply.error().committed);
  CHECK(reply.error().partial_text == text);
  CHECK(reply.error().target.name() == "doomed/smollm2");
  CHECK(reply.error().attempts.size() == 1);
}

TEST_CASE("a stopped server takes the connection and says nothing: the first-token limit fails over") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  const bool streamed = GENERATE(false, true);
  auto stopped = RealModelServer::start();
  const FallbackClient client{target_on(stopped, wire, "stopped") | timeout({.first_token = 200ms}),
                              target_on(healthy(), wire, "healthy")};
  stopped.stop();
  const auto reply = streamed ? client.stream(question()).result() : client.chat(question());

  need(reply);
  CHECK(reply->served_by.name() == "healthy/smollm2");
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::timeout);
  CHECK(reply->attempts[0].elapsed >= 200ms);
  CHECK(reply->attempts[0].elapsed < 2s);

  stopped.cont();
  const auto later = client.chat(question());
  need(later);
  CHECK_FALSE(later->text().empty());
}

TEST_CASE("a server that is refused, then answers 503 while it loads, is retried until it is ready") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  auto loading = RealModelServer::start({.wait_until_ready = false});
  const auto patient = retry({.max_attempts = 3000,
                              .initial = 10ms,
                              .max = 10ms,
                              .throttle_initial = 10ms,
                              .throttle_max = 10ms,
                              .budget = std::nullopt});
  const FallbackClient client{target_on(loading, wire, "loading") | patient};
  const auto reply = client.chat(question(), {.limits = {.deadline = 60s, .max_attempts = 3000}});

  need(reply);
  int unavailable = 0;
  for (const Attempt& attempt : reply->attempts) {
    if (attempt.http_status != 503) continue;
    ++unavailable;
    CHECK(attempt.outcome == ErrorKind::overloaded);
  }
  CHECK(unavailable > 0);
  CHECK_FALSE(reply->attempts.back().outcome);
}

TEST_CASE("a wrong key is an authentication error, is not told, and another target answers") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  const auto locked = RealModelServer::start({.api_key = "the-right-key"});
  const auto wrong = target_on(locked, wire, "locked", {.api_key = "the-wrong-key"});

  const auto refused = FallbackClient{wrong}.chat(question());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::authentication);
  CHECK(refused.error().http_status == 401);
  CHECK(to_string(refused.error()).find("the-wrong-key") == std::string::npos);

  // A target of its own: what was learned of the first one, its copies share.
  const auto wrong_again = target_on(locked, wire, "locked", {.api_key = "the-wrong-key"});
  const auto reply = FallbackClient{wrong_again, target_on(healthy(), wire, "healthy")}.chat(question());
  need(reply);
  CHECK(reply->served_by.name() == "healthy/smollm2");
  CHECK(reply->attempts.front().outcome == ErrorKind::authentication);

  CHECK(FallbackClient{target_on(locked, wire, "locked", {.api_key = "the-right-key"})}.chat(question()));
}

TEST_CASE("a server that is gone is a refused connection, and another target answers") {
  need_real_model();
  auto gone = RealModelServer::start();
  gone.kill();
  const FallbackClient client{target_on(gone, Wire::openai, "gone"), target_on(healthy(), Wire::anthropic, "healthy")};
  const auto reply = client.chat(question());
  need(reply);
  CHECK(reply->served_by.name() == "healthy/smollm2");
  CHECK(reply->attempts.front().outcome == ErrorKind::connect_failed);
  CHECK(reply->attempts.front().replay == ReplaySafety::not_sent);
}

}  // namespace real_failures_test
