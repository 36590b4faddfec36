#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/policies/standard.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/function.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "call/root_call.hpp"
#include "support/aws_messages.hpp"
#include "support/every_wire.hpp"
#include "support/fault_server.hpp"
#include "support/replayed_call.hpp"

namespace privacy_test {

using namespace backstop;
using namespace backstop::testing;
using namespace backstop::testing_support;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string key = "sk-hunter2-key";
const std::string prompt = "the hunter2 prompt";
const std::string answer = "the hunter2 answer";

ReplayedAnswer refused(int status, std::string body) {
  ReplayedAnswer recording;
  recording.status = status;
  recording.body = std::move(body);
  return recording;
}

enum class End : std::uint8_t { clean, cut, open };

ReplayedAnswer broken(std::string body, End end = End::clean, std::vector<Header> headers = {}) {
  ReplayedAnswer recording;
  recording.headers = std::move(headers);
  recording.body = std::move(body);
  recording.cut = end == End::cut;
  recording.stays_open = end == End::open;
  return recording;
}

/// Answers that fail in ways in which parts of them might be quoted.
std::vector<ReplayedAnswer> failures() {
  const std::vector<Header> sse{{"content-type", "text/event-stream"}};
  const std::string openai_delta = R"(data: {"choices":[{"index":0,"delta":{"content":")" + answer + "\"}}]}\n\n";
  const std::string anthropic_delta =
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
      "\"text\":\"" + answer + "\"}}\n\n";
  const std::string responses_delta =
      R"(data: {"type":"response.output_text.delta","output_index":0,"delta":")" + answer + "\"}\n\n";
  const std::string bedrock_delta =
      aws_event("contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":")" + answer + "\"}}");
  const std::string gemini_delta = R"(data: {"candidates":[{"content":{"parts":[{"text":")" + answer + "\"}]}}]}\n\n";
  const std::string cohere_delta =
      R"(data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":")" + answer + "\"}}}}\n\n";
  const std::string ollama_delta =
      R"({"message":{"role":"assistant","content":")" + answer + R"("},"done":false})" + "\n";
  const std::string begun = R"({"choices":[{"message":{"role":"assistant","content":")" + answer;
  return {
      refused(401, R"({"error":{"message":"Incorrect API key provided: )" + key + R"(.","type":"auth"}})"),
      refused(403, "<html>" + key + "</html>"),
      refused(500, "x-api-key: " + key),
      broken(begun),
      broken(begun + R"("},"finish_reason":7}],"usage":[]})"),
      broken(R"({"content":[{"type":"text","text":")" + answer + R"("}],"stop_reason":)"),
      broken(begun, End::cut),
      broken(openai_delta, End::cut, sse),
      broken(openai_delta + "data: {" + answer + "\n\n", End::clean, sse),
      broken(anthropic_delta, End::cut, sse),
      broken(anthropic_delta + "event: error\ndata: {" + answer + "\n\n", End::clean, sse),
      broken(openai_delta, End::open, sse),
      broken(responses_delta, End::cut, sse),
      broken(responses_delta + "data: {" + answer + "\n\n", End::clean, sse),
      broken(bedrock_delta, End::cut),
      broken(bedrock_delta + aws_event("contentBlockDelta", "{" + answer)),
      broken(bedrock_delta + aws_event(answer, "{" + answer)),
      broken(bedrock_delta + std::string(12, '\0') + answer),
      broken(gemini_delta, End::cut, sse),
      broken(gemini_delta + "data: {" + answer + "\n\n", End::clean, sse),
      broken(cohere_delta, End::cut, sse),
      broken(cohere_delta + "data: {" + answer + "\n\n", End::clean, sse),
      broken(ollama_delta, End::cut),
      broken(ollama_delta + "{" + answer + "\n"),
      broken(R"({"candidates":[{"content":{"parts":[{"text":{"of":")" + answer + R"("}}]}}]})"),
      broken(R"({"message":{"content":[{"text":")" + answer + R"("}],"tool_calls":7},"finish_reason":"COMPLETE"})"),
      broken(R"({"success":false,"message":{"role":"assistant","content":{"of":")" + answer + R"("}},"done":false})"),
      broken(R"({"message":{"role":"assistant","thinking":{"of":")" + answer + R"("}},"done":false})"),
  };
}

void check_private(const std::string& text) {
  CAPTURE(text);
  CHECK_THAT(text, !ContainsSubstring("hunter2"));
}

}  // namespace

TEST_CASE("no key, prompt or answer stands in what is said of a failure", "[scenario-216]") {
  std::vector<Provider> providers;
  for (const SpokenWire& wire : every_wire()) {
    providers.push_back(
        wire.make({.model = std::string{wire.model}, .api_key = key, .base_url = "http://127.0.0.1:1/v1"}) |
        standard({.timeout = {.idle = 5s}}));
  }
  int failed = 0;
  for (const Provider& provider : providers) {
    check_private(provider.describe());
    for (const ReplayedAnswer& recording : failures()) {
      for (const bool stream : {false, true}) {
        const ReplayedCall call = call_with(provider, ChatRequest{prompt}, recording, stream);
        if (call.result) continue;  // half an answer to one wire may be a whole one to the other
        ++failed;
        const Error& error = call.result.error();
        check_private(error.message);
        check_private(error.code);
        check_private(to_string(error));
        for (const Attempt& attempt : error.attempts) check_private(attempt.reason);
      }
    }
  }
  CHECK(failed > 200);
}

TEST_CASE("no key, header, signature or id of one provider reaches another, from every wire to every other") {
  for (const SpokenWire& from : every_wire()) {
    for (const SpokenWire& to : every_wire()) {
      for (const bool stream : {false, true}) {
        CAPTURE(from.name, to.name, stream);
        faults::FaultServer first;
        faults::FaultServer second;
        const auto target = [](const SpokenWire& wire, const faults::FaultServer& server, const std::string& name) {
          return wire.at(server, {.api_key = "key-of-" + name,
                                  .name = name,
                                  .headers = {{"x-account", "account-of-" + name}},
                                  .forward_headers = {"x-for-" + name},
                                  .parameters = R"({"setting": "parameter-of-)" + name + "\"}"});
        };
        const FallbackClient client{target(from, first, "first"), target(to, second, "second")};
        const auto ask = [&](const ChatRequest& request) {
          if (!stream) return client.chat(request);
          ChatStream events = client.stream(request);
          for (const StreamEvent& event : events) static_cast<void>(event);
          return events.result();
        };
        ChatRequest request{"What time is it?"};
        request.headers = {{"x-for-first", "header-of-first"}, {"x-for-second", "header-of-second"}};
        request.extra = {{"first", R"({"own": "field-of-first"})"}, {"second", R"({"own": "field-of-second"})"}};
        if (from.policy_name != to.policy_name) {  // the wire's, too
          request.extra.push_back({"wire:" + std::string{from.policy_name}, R"({"wired": "wire-of-first"})"});
        }
        first.next(faults::answer(faults::Answer{.text = "One moment.",
                                                 .reasoning = "I have to look.",
                                                 .calls = {{"call_a", "clock", "{}"}, {"call_b", "clock", "{}"}}}));
        const auto begun = ask(request);
        REQUIRE(begun);
        request.messages.push_back(begun->message());
        request.messages.push_back(Message{Role::tool, {ToolResult{"call_a", "10:00"}, ToolResult{"call_b", "10:01"}}});
        first.next(faults::status(503, {{"x-request-id", "request-of-first"}}));
        REQUIRE(ask(request));
        for (const char* own : {"field-of-first", "parameter-of-first"}) {
          CHECK_THAT(first.requests().back().body, ContainsSubstring(own));
        }
        REQUIRE(second.request_count() == 1);
        const faults::ReceivedRequest seen = second.requests().back();
        std::string all = seen.path + "\n" + seen.body;
        for (const auto& [name, value] : seen.headers) all += "\n" + name + ": " + value;
        CAPTURE(all);
        for (const char* own : {"key-of-second", "account-of-second", "header-of-second", "One moment.", "10:01",
                                "field-of-second", "parameter-of-second"}) {
          CHECK_THAT(all, ContainsSubstring(own));
        }
        for (const char* foreign : {"-of-first", "x-for-first", "I have to look.", "fault-signature",
                                    "ZmF1bHQtc2lnbmF0dXJl", "_fault", "chatcmpl-fault"}) {
          CHECK_THAT(all, !ContainsSubstring(foreign));
        }
        for (const std::string_view header : {"authorization", "x-api-key", "x-goog-api-key", "api-key"}) {
          CAPTURE(header);
          CHECK(seen.header(header).has_value() == (header == to.key_header));
        }
      }
    }
  }
}

TEST_CASE("what a provider repeats of the prompt stands in its own words, which observers do not get",
          "[scenario-216]") {
  struct Seen final : Observer {
    void on_attempt(const AttemptEvent& event) noexcept override {
      reason = event.attempt.reason;
      words = event.attempt.provider_message;
      ++attempts;
    }
    void on_call(const CallEvent& event) noexcept override {
      call_words = event.error->provider_message;
      for (const Attempt& attempt : event.attempts) call_words += attempt.provider_message;
      for (const Attempt& attempt : event.error->attempts) call_words += attempt.provider_message;
      ++calls;
    }
    std::string reason;
    std::string words;
    std::string call_words;
    int attempts = 0;
    int calls = 0;
  };
  const auto seen = std::make_shared<Seen>();
  const std::vector<std::shared_ptr<Observer>> observers{seen};
  const Provider provider = openai({.model = "gpt-5.6-sol", .api_key = key, .base_url = "http://127.0.0.1:1/v1"});
  VirtualClock clock;
  RuntimeOptions options;
  options.clock = &clock;
  options.transport = std::make_unique<ReplayTransport>(
      clock, refused(400, R"({"error":{"message":"cannot read ')" + prompt + R"('"}})"));
  options.background_driver = false;
  Runtime runtime{std::move(options)};
  const ChatRequest request{prompt};
  detail::RootCall call{runtime, CallLimits{}, &observers};
  Runtime::Gate gate;
  runtime.block_until(gate, [&] { call.start(provider.get(), request, nullptr, [&] { runtime.open(gate); }); });
  REQUIRE_FALSE(call.result());
  const Error& error = call.result().error();
  CHECK(seen->attempts == 1);
  CHECK(seen->words.empty());
  CHECK(seen->calls == 1);
  CHECK(seen->call_words.empty());
  check_private(seen->reason);
  check_private(error.message);
  CHECK_THAT(error.provider_message, ContainsSubstring(prompt));
  REQUIRE(error.attempts.size() == 1);
  check_private(error.attempts[0].reason);
  CHECK(error.attempts[0].provider_message == error.provider_message);
}

TEST_CASE("an observer is told in the course of the call, on its thread, and cannot throw into it", "[scenario-214]") {
  static_assert(noexcept(std::declval<Observer&>().on_attempt(std::declval<const AttemptEvent&>())));
  static_assert(noexcept(std::declval<Observer&>().on_call(std::declval<const CallEvent&>())));
  static_assert(noexcept(std::declval<Observer&>().on_breaker(std::declval<const BreakerEvent&>())));

  // One that takes its time holds up the call that it is told of, and changes nothing else about it.
  struct Slow final : Observer {
    explicit Slow(VirtualClock& observed) : clock{&observed} {}
    void on_attempt(const AttemptEvent&) noexcept override { clock->advance(3s); }
    void on_call(const CallEvent&) noexcept override { clock->advance(3s); }
    VirtualClock* clock;
  };
  struct Counter final : Observer {
    void on_attempt(const AttemptEvent&) noexcept override { ++attempts; }
    void on_call(const CallEvent&) noexcept override { ++calls; }
    int attempts = 0;
    int calls = 0;
  };
  VirtualRuntime runtime;
  const ScriptedProvider model{"a/m", {testing::error(ErrorKind::server_error), testing::answer("hi").after(1s)}};
  const auto counter = std::make_shared<Counter>();
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = runtime.share();
  options.observers = {std::make_shared<Slow>(runtime.clock()), counter};
  const FallbackClient client{{model | standard()}, options};
  const auto reply = client.chat("hello");
  REQUIRE(reply);
  CHECK(reply->text() == "hi");
  CHECK(reply->attempts[1].elapsed == 1s);  // measured before anyone was told
  CHECK(counter->attempts == 2);
  CHECK(counter->calls == 1);
  CHECK(runtime.elapsed() >= 9s);
  CHECK(runtime.idle());
}

TEST_CASE("the end of a stream is told after the observers have been, with the provider's words", "[scenario-216]") {
  struct Last final : Observer {
    explicit Last(const EventLog& events) : log{&events} {}
    void on_call(const CallEvent&) noexcept override { events_before = log->events().size(); }
    const EventLog* log;
    std::size_t events_before = 99;
  };
  struct Words final : StreamSink {
    void on_event(const StreamEvent& event) noexcept override {
      if (event.error != nullptr) said = event.error->provider_message;
    }
    std::string said;
  };
  VirtualRuntime world;
  EventLog log{world.runtime()};
  const auto last = std::make_shared<Last>(log);
  const Provider model = make_provider("one/a", [](const ChatRequest&) -> Result<ChatResponse> {
    Error error{ErrorKind::server_error, "failed"};
    error.provider_message = "out of order";
    return error;
  });
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.observers = {last};
  options.runtime = world.share();
  const FallbackClient client{{model}, options};
  SECTION("the observers come first") {
    static_cast<void>(client.start("hello", {.sink = &log}).wait());
    CHECK(last->events_before == 0);
    CHECK(log.events().size() == 1);
  }
  SECTION("the words are there") {
    Words words;
    PendingCall call = client.start("hello", {.sink = &words});
    REQUIRE_FALSE(call.wait());
    CHECK(words.said == "out of order");
  }
}

}  // namespace privacy_test
