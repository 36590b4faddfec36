#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "support/every_wire.hpp"
#include "support/fault_server.hpp"

namespace wire_failover_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;
using faults::FaultServer;
using Json = nlohmann::json;

/// A call that one wire fails is answered by another, over real sockets: from every wire to every wire.
namespace {

Result<ChatResponse> ask(const FallbackClient& client, const ChatRequest& request, bool stream, std::string* seen) {
  if (!stream) return client.chat(request);
  ChatStream events = client.stream(request);
  for (const StreamEvent& event : events) {
    if (event.type == StreamEvent::Type::text) seen->append(event.delta);
  }
  return events.result();
}

const faults::Answer with_everything{
    .text = "One moment, please.",
    .reasoning = "I have to look.",
    .calls = {{"call_a", "clock", R"({"city":"Rome"})"}, {"call_b", "clock", R"({"city":"Oslo"})"}},
    .usage = {.input = 40, .output = 9, .cached = 8}};

void check_everything(const ChatResponse& answer, faults::Wire wire) {
  CHECK(answer.text() == "One moment, please.");
  CHECK(answer.reasoning() == "I have to look.");
  REQUIRE(answer.tool_calls().size() == 2);
  CHECK(answer.tool_calls()[0].id == "call_a");
  CHECK(answer.tool_calls()[1].name == "clock");
  CHECK(Json::parse(answer.tool_calls()[1].arguments) == Json{{"city", "Oslo"}});
  CHECK(answer.finish_reason == FinishReason::tool_calls);
  CHECK(answer.usage.input_tokens == 40);
  CHECK(answer.usage.output_tokens == 9);
  if (wire != faults::Wire::ollama) CHECK(answer.usage.cached_input_tokens == 8);  // which does not tell
}

}  // namespace

TEST_CASE("a call that fails on one wire is answered by any other") {
  const std::vector<faults::Behaviour> failures{
      faults::overloaded(),      faults::rate_limited(),       faults::quota_exhausted(),     faults::unauthorized(),
      faults::model_not_found(), faults::html_502(),           faults::close_after_request(), faults::truncated_body(),
      faults::malformed_json(0), faults::error_event_after(0), faults::empty_choices()};
  for (const SpokenWire& from : every_wire()) {
    for (const SpokenWire& to : every_wire()) {
      FaultServer bad;
      FaultServer good;
      good.always(faults::answer(with_everything));
      for (const faults::Behaviour& failure : failures) {
        for (const bool stream : {false, true}) {
          // What has been delivered cannot be taken back.
          if (stream && failure.name == "truncated_body") continue;
          CAPTURE(from.name, to.name, failure.name, stream);
          const FallbackClient client{from.at(bad) | timeout(10s), to.at(good, {.name = "second"}) | timeout(10s)};
          bad.next(failure);
          std::string seen;
          const Result<ChatResponse> reply = ask(client, "What time is it?", stream, &seen);
          REQUIRE(reply);
          check_everything(*reply, to.wire);
          if (stream) CHECK(seen == "One moment, please.");
          CHECK(reply->fallback);
          REQUIRE(reply->attempts.size() == 2);
          CHECK(reply->attempts[0].outcome);
          CHECK(bad.requests().back().wire() == from.wire);
          CHECK(good.requests().back().wire() == to.wire);
          CHECK(good.requests().back().wants_stream() == stream);
        }
      }
    }
  }
}

TEST_CASE("each wire's refusals are of the kind that they are of on every other") {
  const std::vector<std::pair<faults::Behaviour, ErrorKind>> refusals{
      {faults::overloaded(), ErrorKind::overloaded},
      {faults::rate_limited(7s), ErrorKind::rate_limited},
      {faults::quota_exhausted(), ErrorKind::quota_exhausted},
      {faults::unauthorized(), ErrorKind::authentication},
      {faults::context_too_long(), ErrorKind::context_window_exceeded},
      {faults::model_not_found(), ErrorKind::model_not_found},
      {faults::html_502(), ErrorKind::server_error}};
  for (const SpokenWire& wire : every_wire()) {
    FaultServer server;
    for (const auto& [refusal, kind] : refusals) {
      for (const bool stream : {false, true}) {
        CAPTURE(wire.name, refusal.name, stream);
        server.next(refusal);
        FallbackOptions options;
        options.recovery.max_wait = 0s;
        std::string seen;
        const Result<ChatResponse> reply = ask(FallbackClient{{wire.at(server)}, options}, "Hi", stream, &seen);
        REQUIRE_FALSE(reply);
        CHECK(reply.error().attempts.at(0).outcome == kind);
      }
    }
  }
}

TEST_CASE("a stream that breaks after its content is an error with what has come, on every wire") {
  const faults::Answer what{.text = "one two three four"};
  for (const SpokenWire& wire : every_wire()) {
    FaultServer server;
    for (const faults::Behaviour& fault :
         {faults::cut_stream(2, what), faults::reset_stream(2, what), faults::error_event_after(2, {}, what),
          faults::malformed_json(2, what), faults::stall_stream(2, what)}) {
      CAPTURE(wire.name, fault.name);
      server.next(fault);
      std::string seen;
      const FallbackClient client{wire.at(server) | timeout({.idle = 300ms}), wire.at(server, {.name = "second"})};
      const Result<ChatResponse> reply = ask(client, "Hi", true, &seen);
      REQUIRE_FALSE(reply);
      CHECK(reply.error().kind == ErrorKind::stream_interrupted);
      CHECK(reply.error().partial_text == "one two");
      CHECK(seen == "one two");
    }
    server.next(faults::end_without_done(what));
    std::string seen;
    const Result<ChatResponse> ended = ask(FallbackClient{wire.at(server)}, "Hi", true, &seen);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().partial_text == what.text);
  }
}

}  // namespace wire_failover_test
