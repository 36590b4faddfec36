#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/replayed_call.hpp"
#include "support/standing.hpp"

namespace http_engine_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

namespace {

Provider provider() {
  return openai({.model = "gpt-4o", .api_key = "sk-secret-0123456789", .base_url = "http://replayed.test/v1"});
}

ReplayedAnswer events(std::string body) {
  ReplayedAnswer answer;
  answer.headers = {{"content-type", "text/event-stream"}, {"x-request-id", "req_7"}};
  answer.body = std::move(body);
  return answer;
}

ReplayedAnswer json(std::string body, int status = 200) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = {{"content-type", "application/json"}, {"x-request-id", "req_7"}};
  answer.body = std::move(body);
  return answer;
}

ReplayedCall streamed(const ReplayedAnswer& answer) { return call_with(provider(), "Hi", answer, true); }
ReplayedCall plain(const ReplayedAnswer& answer) { return call_with(provider(), "Hi", answer, false); }

std::string chunk(std::string_view delta, std::string_view rest = "") {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{" + std::string{delta} + "}" + std::string{rest} + "}]}\n\n";
}
const std::string hello = chunk(R"("content":"Hello")");
const std::string stop = chunk("", R"(,"finish_reason":"stop")");
const std::string done = "data: [DONE]\n\n";

std::size_t count(const ReplayedCall& call, StreamEvent::Type type) {
  return static_cast<std::size_t>(std::count_if(call.events.begin(), call.events.end(),
                                                [type](const testing::RecordedEvent& event) { return event.type == type; }));
}

}  // namespace

TEST_CASE("a stream is answered by its pieces and by the whole") {
  const ReplayedCall call = streamed(events(chunk(R"("role":"assistant","content":"")") + hello + stop + done));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(count(call, StreamEvent::Type::text) == 1);
  CHECK(call.left_nothing);
}

TEST_CASE("without its key nothing is sent, and the error says which variable to set") {
  const Provider keyless = openai({.model = "gpt-4o", .api_key_env = "BACKSTOP_TEST_NO_SUCH_KEY"});
  const ReplayedCall call = call_with(keyless, "Hi", json("{}"), false);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::authentication);
  CHECK(call.result.error().replay == ReplaySafety::not_sent);
  CHECK(call.result.error().message.find("BACKSTOP_TEST_NO_SUCH_KEY") != std::string::npos);
  CHECK(call.requests.empty());
}

TEST_CASE("a status of a refusal is read as JSON whatever its content type is") {
  ReplayedAnswer answer = events(R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})");
  answer.status = 429;
  answer.headers.emplace_back("retry-after", "3");
  const ReplayedCall call = streamed(answer);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::rate_limited);
  CHECK(call.result.error().provider_message == "slow down");
  CHECK(call.result.error().retry_after == 3s);
  CHECK(call.result.error().request_id == "req_7");
  CHECK(call.events.size() == count(call, StreamEvent::Type::failed));
}

TEST_CASE("a refusal whose body breaks off is classified by its status") {
  ReplayedAnswer answer = json("{\"err", 503);
  answer.cut = true;
  const ReplayedCall call = plain(answer);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::overloaded);
  CHECK(call.result.error().http_status == 503);
}

TEST_CASE("a whole JSON answer to a request for a stream is streamed all the same") {
  const ReplayedCall call = streamed(json(R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})"));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(count(call, StreamEvent::Type::text) == 1);
}

TEST_CASE("a whole JSON answer under the content type of a stream is one, too") {
  const ReplayedCall call = streamed(events(R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})"));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
}

TEST_CASE("an error as JSON under a status of 200 is one") {
  const ReplayedCall call = streamed(json(R"({"code":"The service is currently unavailable","error":"try later"})"));
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().http_status == 200);
  CHECK(call.result.error().provider_message == "try later");
}

TEST_CASE("an error as the first event is what it says, and nothing was delivered", "[scenario-203]") {
  const ReplayedCall call = streamed(events(
      "data: {\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\",\"code\":null}}\n\n"));
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::overloaded);
  CHECK(call.result.error().code == "overloaded_error");
  CHECK_FALSE(call.result.error().committed);
  CHECK(call.events.size() == count(call, StreamEvent::Type::failed));
}

TEST_CASE("an error after text breaks the stream, with the words and the code of its cause") {
  const ReplayedCall call = streamed(events(hello + "data: {\"error\":{\"message\":\"busy\",\"code\":\"server_error\"}}\n\n"));
  REQUIRE_FALSE(call.result);
  const Error& error = call.result.error();
  CHECK(error.kind == ErrorKind::stream_interrupted);
  CHECK(error.provider_message == "busy");
  CHECK(error.message == "the provider failed");
  CHECK(error.code == "server_error");
  CHECK(error.cause == ErrorKind::server_error);
  CHECK(error.partial_text == "Hello");
  CHECK(error.committed);
  CHECK(error.http_status == 200);
}

TEST_CASE("an error after the finish reason is still a failure") {
  const ReplayedCall call = streamed(events(hello + stop + "data: {\"error\":{\"message\":\"late\"}}\n\n" + done));
  CHECK_FALSE(call.result);
}

TEST_CASE("a stream that ends without its end is broken", "[scenario-204]") {
  SECTION("after content") {
    const ReplayedCall call = streamed(events(hello));
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(call.result.error().partial_text == "Hello");
  }
  SECTION("before content") {
    const ReplayedCall call = streamed(events(chunk(R"("role":"assistant")")));
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
    CHECK_FALSE(call.result.error().committed);
  }
  SECTION("before any event") {
    const ReplayedCall call = streamed(events(""));
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::malformed_response);
  }
  SECTION("with nothing but its end") {
    const ReplayedCall call = streamed(events(done));
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::malformed_response);
  }
}

TEST_CASE("a broken stream tells its cause, which decides what comes of the call") {
  const auto cause_of = [](const std::string& body) {
    const ReplayedCall call = streamed(events(body));
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
    return call.result.error().cause;
  };
  CHECK(cause_of(hello + "data: {\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}\n\n") ==
        ErrorKind::rate_limited);
  CHECK(cause_of(hello + "data: {\"error\":{\"message\":\"x\",\"type\":\"overloaded_error\"}}\n\n") ==
        ErrorKind::overloaded);
  CHECK(cause_of(hello + "data: x\n\n") == ErrorKind::malformed_response);
  CHECK_FALSE(cause_of(hello));
}

TEST_CASE("an answer that breaks off after its head may have been processed") {
  ReplayedAnswer cut = json(R"({"choices":[)");
  cut.cut = true;
  const ReplayedCall whole = plain(cut);
  REQUIRE_FALSE(whole.result);
  CHECK(whole.result.error().replay == ReplaySafety::maybe_processed);
  CHECK(whole.result.error().http_status == 200);
  CHECK(whole.result.error().request_id == "req_7");
  cut = events(hello);
  cut.cut = true;
  const ReplayedCall stream = streamed(cut);
  REQUIRE_FALSE(stream.result);
  CHECK(stream.result.error().replay == ReplaySafety::maybe_processed);
  CHECK(stream.result.error().partial_text == "Hello");
  // What has been written is paid for, by estimate: two tokens, and one of the prompt.
  REQUIRE(stream.result.error().attempts.size() == 1);
  const Attempt& row = stream.result.error().attempts[0];
  CHECK(row.cost_estimated);
  CHECK(row.cost == Money::usd_per_million(10) * 2 + Money::usd_per_million(2.5));
}

TEST_CASE("a finish reason or the end mark alone makes a stream complete") {
  CHECK(streamed(events(hello + stop)).result);
  CHECK(streamed(events(hello + done)).result);
  CHECK(streamed(events(hello + "data: [DONE]")).result);
  ReplayedAnswer cut = events(hello + stop);
  cut.cut = true;
  CHECK(streamed(cut).result);
}

TEST_CASE("a last event without its blank line counts at a clean end, not after a cut") {
  const std::string unfinished = stop.substr(0, stop.size() - 2);
  CHECK(streamed(events(hello + unfinished)).result);
  ReplayedAnswer cut = events(hello + unfinished);
  cut.cut = true;
  CHECK(streamed(cut).result.error().kind == ErrorKind::stream_interrupted);
}

TEST_CASE("what follows the end mark is ignored, and a connection that stays open is not waited for long") {
  ReplayedAnswer answer = events(hello + stop + done + chunk(R"("content":"again")"));
  answer.stays_open = true;
  const ReplayedCall call = streamed(answer);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(call.elapsed == 100ms);
  CHECK(call.left_nothing);
}

TEST_CASE("a stream whose model has finished is complete though its end mark never comes") {
  ReplayedAnswer answer = events(hello + stop + R"(data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}})" +
                                 "\n\n");
  answer.stays_open = true;
  const ReplayedCall call = streamed(answer);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(call.result->usage.input_tokens == 7);
  CHECK(call.elapsed == 5s);
  CHECK(call.left_nothing);

  const ReplayedCall limited = call_with(provider() | timeout({.idle = 2s}), "Hi", answer, true);
  REQUIRE(limited.result);
  CHECK(limited.elapsed == 2s);

  ReplayedAnswer unfinished = events(hello);
  unfinished.stays_open = true;
  const ReplayedCall silent = call_with(provider() | timeout({.idle = 20s}), "Hi", unfinished, true);
  REQUIRE_FALSE(silent.result);
  CHECK(silent.elapsed == 20s);
}

TEST_CASE("a consumer that does not read stops the reading, and nothing is lost when it goes on") {
  class Later final : public Timer {
   public:
    explicit Later(testing::EventLog& log) : log_{&log} {}
    void on_timer() noexcept override { log_->resume(); }

   private:
    testing::EventLog* log_;
  };
  std::string body;
  for (int i = 0; i < 5; ++i) body += hello;
  ReplayedAnswer answer = events(body + stop + done);
  for (std::size_t at = 40; at < answer.body.size(); at += 40) answer.splits.push_back(at);
  std::unique_ptr<Later> later;
  const ReplayedCall call = call_with(provider(), "Hi", answer, true, [&](testing::EventLog& log, Runtime& runtime) {
    later = std::make_unique<Later>(log);
    log.on_each([&](const testing::RecordedEvent& event) {
      if (event.type != StreamEvent::Type::text || event.delta != "Hello") return;
      log.pause();
      runtime.timers().arm(*later, runtime.now() + 10s);
    });
  });
  REQUIRE(call.result);
  CHECK(call.result->text() == "HelloHelloHelloHelloHello");
  CHECK(count(call, StreamEvent::Type::text) == 5);
  CHECK(call.elapsed >= 50s);
  CHECK(call.left_nothing);
}

TEST_CASE("a hint on an answer means nothing", "[scenario-47]") {
  const auto ready_after = [](ReplayedAnswer answer) {
    answer.headers.emplace_back("retry-after", "30");
    const Provider gpt = provider();
    static_cast<void>(call_with(gpt, "Hi", answer, true));
    return testing::standing_of(gpt, testing::VirtualClock{}.now()).ready();
  };
  CHECK(ready_after(events(hello + stop + done)));
  CHECK_FALSE(ready_after(json(R"({"error":{"message":"slow down"}})", 429)));  // as a refusal's would
}

TEST_CASE("a hint beside an error inside an answer is taken") {
  ReplayedAnswer answer = events("data: {\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}\n\n");
  answer.headers.emplace_back("retry-after", "4");
  CHECK(streamed(answer).result.error().retry_after == 4s);
}

TEST_CASE("beside other errors inside an answer the head's hints mean nothing") {
  ReplayedAnswer answer = events("data: {\"error\":{\"message\":\"x\",\"code\":\"server_error\"}}\n\n");
  answer.headers.emplace_back("retry-after", "4");
  answer.headers.emplace_back("x-should-retry", "false");
  const ReplayedCall call = streamed(answer);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::server_error);
  CHECK_FALSE(call.result.error().retry_after);
  CHECK_FALSE(call.result.error().should_retry);
}

TEST_CASE("an event that is no JSON is malformed; an answer in HTML too") {
  CHECK(streamed(events("data: {\"choices\": [\n\n")).result.error().kind == ErrorKind::malformed_response);
  CHECK(streamed(events("<html><body>Hello</body></html>")).result.error().kind == ErrorKind::malformed_response);
  CHECK(plain(json("<html>")).result.error().kind == ErrorKind::malformed_response);
  CHECK(plain(json("")).result.error().kind == ErrorKind::malformed_response);
  CHECK(plain(json("{}")).result.error().kind == ErrorKind::malformed_response);
  CHECK(plain(json(R"({"choices":[]})")).result.error().kind == ErrorKind::malformed_response);
  CHECK(streamed(events(hello + "data: x\n\n")).result.error().kind == ErrorKind::stream_interrupted);
}

TEST_CASE("an empty answer was processed, and would be billed") {
  CHECK(plain(json(R"({"choices":[]})")).result.error().replay == ReplaySafety::processed);
}

TEST_CASE("blanks before a plain answer keep the connection alive and mean nothing") {
  const ReplayedCall call =
      plain(json(std::string(3000, ' ') + R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})"));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
}

TEST_CASE("half a character, escaped or not, does not break an answer") {
  const ReplayedCall call =
      streamed(events(chunk(R"("content":"a\ud83d")") + chunk(R"("content":"\ude00 )" "\xF0\x9F" R"(b")") + stop));
  REQUIRE(call.result);
  CHECK(call.result->text() == "a\xEF\xBF\xBD\xEF\xBF\xBD \xEF\xBF\xBD\xEF\xBF\xBD" "b");
}

TEST_CASE("a complete call is handed over when the next part begins") {
  const ReplayedCall call = streamed(events(
      chunk(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"get","arguments":""}}])") +
      chunk(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"q\":1}"}}])") +
      chunk(R"("tool_calls":[{"index":1,"id":"b","function":{"name":"put","arguments":"{\"x\""}}])") +
      "data: {\"error\":{\"message\":\"broken\"}}\n\n"));
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
  CHECK(count(call, StreamEvent::Type::tool_call) == 1);
  CHECK(count(call, StreamEvent::Type::tool_call_delta) == 3);
}

TEST_CASE("only the first choice counts") {
  const ReplayedCall call = streamed(events(
      hello + "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"Other\"},\"finish_reason\":\"length\"}]}\n\n" + stop));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(call.result->finish_reason == FinishReason::stop);
}

TEST_CASE("a finish reason that means a failure is one") {
  for (const std::string word : {"error", "insufficient_system_resource"}) {
    CAPTURE(word);
    const std::string end = chunk("", R"(,"finish_reason":")" + word + "\"") + done;
    const ReplayedCall empty = streamed(events(end));
    REQUIRE_FALSE(empty.result);
    CHECK(empty.result.error().kind == ErrorKind::malformed_response);
    CHECK(empty.result.error().code == word);
    const ReplayedCall begun = streamed(events(hello + end));
    REQUIRE_FALSE(begun.result);
    CHECK(begun.result.error().kind == ErrorKind::stream_interrupted);
  }
}

TEST_CASE("a key appears in no error, whatever the provider sends") {
  const ReplayedCall call = plain(json(R"({"error":{"message":"sk-secret-0123456789 is wrong"}})", 401));
  CHECK(to_string(call.result.error()).find("secret") == std::string::npos);
  CHECK(provider().describe().find("secret") == std::string::npos);
}

TEST_CASE("a key is masked in whatever form and place it comes back", "[scenario-216]") {
  const Credentials ring = credentials({"ring-key-one-111", "ring-key-two-222"});
  const auto with = [&](ModelOptions options) {
    options.model = "m";
    return openai(std::move(options));
  };
  struct Case {
    Provider provider;
    std::string echo;
  };
  const std::vector<Case> cases{
      {with({.api_key = "hunter2-hunter2", .base_url = "http://h.test/v1"}), "hunter2-hunter2"},
      {with({.api_key = "a/hunter2+b", .base_url = "http://h.test/v1"}), "?key=a%2Fhunter2%2Bb"},
      {with({.credentials = credentials({"first-key-1", "hunter2-222"}), .base_url = "http://h.test/v1"}), "hunter2-222"},
      {with({.api_key = "sk-1234", .base_url = "http://h.test/v1", .headers = {{"x-my-token", "hunter2"}}}), "hunter2"},
      {with({.api_key = "sk-1234", .base_url = "http://h.test/v1?key=hunter2"}), "http://h.test/v1?key=hunter2"},
      {with({.api_key = "sk-1234", .base_url = "http://h.test/v1", .forward_headers = {"x-mine"}}), "hunter2 again"},
  };
  ChatRequest request{"Hi"};
  request.headers = {{"X-Mine", "hunter2 again"}};
  for (const Case& one : cases) {
    const std::string& echo = one.echo;
    std::vector<ReplayedAnswer> answers{
        json(R"({"error":{"message":"no: )" + echo + R"(","code":")" + echo + "\"}}", 400),
        json("<html>" + echo + "</html>", 500),
        json("<html>" + echo + "</html>"),
        json("", 307),
        json("", 500),
        events(hello + R"(data: {"error":{"message":")" + echo + "\"}}\n\n"),
        events(hello),
    };
    answers[3].headers.emplace_back("location", echo);
    answers[4].headers = {{"x-request-id", echo}};
    answers[6].cut = true;
    answers[6].cut_message = "recv failed for " + echo;
    for (const ReplayedAnswer& answer : answers) {
      const ReplayedCall call = call_with(one.provider, request, answer, true);
      REQUIRE_FALSE(call.result);
      CAPTURE(echo, answer.status, answer.body);
      const Error& error = call.result.error();
      for (const std::string& text : {to_string(error), error.message, error.provider_message, error.code, error.request_id}) {
        CHECK(text.find("hunter2") == std::string::npos);
      }
      for (const Attempt& row : error.attempts) {
        CHECK(row.request_id.find("hunter2") == std::string::npos);
        CHECK(row.provider_message.find("hunter2") == std::string::npos);
      }
    }
  }
}

TEST_CASE("the prompt that a provider repeats stands in its own words only", "[scenario-216]") {
  const ReplayedCall call = call_with(
      provider(), "my diary", json(R"({"error":{"message":"cannot parse 'my diary'","code":"bad"}})", 400), false);
  REQUIRE_FALSE(call.result);
  const Error& error = call.result.error();
  CHECK(error.message == "the provider refused the request as invalid");
  CHECK(error.provider_message == "cannot parse 'my diary'");
  REQUIRE(error.attempts.size() == 1);
  CHECK(error.attempts[0].reason == error.message);
  CHECK(error.attempts[0].provider_message == error.provider_message);
  CHECK(to_string(error).find("(it said: cannot parse 'my diary')") != std::string::npos);
}

TEST_CASE("observers of progress get no words of a provider") {
  class Words final : public Observer {
   public:
    void on_progress(const ProgressEvent& event) noexcept override {
      for (const Attempt* row : {event.attempt, event.before}) {
        if (row == nullptr) continue;
        ++rows;
        found = found || !row->provider_message.empty();
      }
    }
    int rows = 0;
    bool found = false;
  };
  testing::VirtualRuntime world;
  const auto words = std::make_shared<Words>();
  class Quotes final : public ModelProvider {
   public:
    Quotes() : ModelProvider{Target{"a", "m"}} {}

   protected:
    Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
      Error error{ErrorKind::overloaded, "overloaded"};
      error.provider_message = "cannot read 'my diary'";
      error.replay = ReplaySafety::maybe_processed;
      co_return error;
    }
  };
  const testing::ScriptedProvider second{"b/m", {testing::answer("yes")}};
  FallbackOptions options;
  options.observers = {words};
  options.runtime = world.share();
  const auto reply = FallbackClient{{Provider{Quotes{}}, second}, options}.chat("hello");
  REQUIRE(reply);
  CHECK(words->rows >= 4);
  CHECK_FALSE(words->found);
  CHECK(reply->attempts[0].provider_message == "cannot read 'my diary'");
}

TEST_CASE("a wait that the prompt asks for is no hint") {
  const auto hint_beside = [](std::string prompt, int status, std::string body) {
    return call_with(provider(), ChatRequest{std::move(prompt)}, json(std::move(body), status), false)
        .result.error().retry_after;
  };
  const auto says = [](std::string_view words) { return R"({"error":{"message":")" + std::string{words} + "\"}}"; };
  const std::string attack = "Please retry in 9999s";
  CHECK(hint_beside("Hi", 429, says(attack)) == 9999s);
  CHECK_FALSE(hint_beside(attack, 429, says("cannot do 'Please retry in 9999s' now")));
  CHECK_FALSE(hint_beside("Please retry\nin  9999s", 429, says("cannot do 'please retry in 9999s'")));
  CHECK_FALSE(hint_beside(attack, 429, says("cannot do 'Please retry in 99...'")));
  CHECK(hint_beside(attack, 429, says("cannot do 'Please retry in 9999s'. Please try again in 3s.")) == 3s);
  CHECK(hint_beside(attack, 429, says("cannot do 'Please retry in 9999s'. Retry in 4s.")) == 4s);
  CHECK_FALSE(hint_beside("Hi", 429, "<p>" + attack));
  CHECK_FALSE(hint_beside("Hi", 400, says(attack)));
  CHECK_FALSE(hint_beside("Hi", 500, says(attack)));
}

TEST_CASE("an answer beyond a limit is malformed, and the message names the limit and the option") {
  const auto limited = [](AnswerLimits limits) {
    return openai({.model = "gpt-4o", .api_key = "sk-1234", .base_url = "http://h.test/v1", .answer_limits = limits});
  };
  const auto says = [](const ReplayedCall& call, ErrorKind kind, std::string_view what) {
    REQUIRE_FALSE(call.result);
    const Error& error = call.result.error();
    CHECK(error.kind == kind);
    CHECK(error.cause.value_or(ErrorKind::malformed_response) == ErrorKind::malformed_response);
    CHECK(error.message == what);
    CHECK(call.left_nothing);
  };
  const std::string whole_hello = R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})";
  const std::string two_calls = R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},)"
                                R"({"index":1,"id":"b","function":{"name":"f","arguments":"{}"}}])";

  SECTION("content of a stream") {
    const Provider model = limited({.bytes = 12});
    CHECK(call_with(model, "Hi", events(hello + hello + stop), true).result);
    const ReplayedCall call = call_with(model, "Hi", events(hello + hello + hello + stop), true);
    says(call, ErrorKind::stream_interrupted, "the answer is larger than 12 bytes (`AnswerLimits::bytes`)");
    CHECK(call.result.error().partial_text == "HelloHello");
    const ReplayedCall at_once = call_with(limited({.bytes = 4}), "Hi", events(hello + stop), true);
    says(at_once, ErrorKind::malformed_response, "the answer is larger than 4 bytes (`AnswerLimits::bytes`)");
    const std::string arguments = chunk(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"a\":"}}])");
    says(call_with(limited({.bytes = 6}), "Hi", events(arguments + stop), true), ErrorKind::malformed_response,
         "the answer is larger than 6 bytes (`AnswerLimits::bytes`)");
    const std::string thought = chunk(R"("reasoning":"Hmmm")");
    says(call_with(limited({.bytes = 3}), "Hi", events(thought + stop), true), ErrorKind::malformed_response,
         "the answer is larger than 3 bytes (`AnswerLimits::bytes`)");
  }
  SECTION("all bytes of a stream") {
    const std::string pings(1 << 20, ':');
    ReplayedAnswer endless = events(hello + pings + "\n\n");
    endless.splits = {hello.size()};
    endless.stays_open = true;
    says(call_with(limited({.stream_bytes = 1 << 20}), "Hi", endless, true), ErrorKind::stream_interrupted,
         "the stream is larger than 1 MiB (`AnswerLimits::stream_bytes`)");
  }
  SECTION("a whole body") {
    CHECK(call_with(limited({.bytes = whole_hello.size()}), "Hi", json(whole_hello), false).result);
    says(call_with(limited({.bytes = whole_hello.size() - 1}), "Hi", json(whole_hello), false),
         ErrorKind::malformed_response,
         "the answer is larger than " + std::to_string(whole_hello.size() - 1) + " bytes (`AnswerLimits::bytes`)");
  }
  SECTION("tool calls") {
    const std::string what = "the answer has more than 1 tool calls (`AnswerLimits::tool_calls`)";
    const std::string whole = R"({"choices":[{"message":{)" + two_calls + R"(},"finish_reason":"tool_calls"}]})";
    CHECK(call_with(limited({.tool_calls = 2}), "Hi", events(chunk(two_calls) + stop), true).result);
    CHECK(call_with(limited({.tool_calls = 2}), "Hi", json(whole), false).result);
    says(call_with(limited({.tool_calls = 1}), "Hi", events(chunk(two_calls) + stop), true),
         ErrorKind::stream_interrupted, what);
    says(call_with(limited({.tool_calls = 1}), "Hi", json(whole), false), ErrorKind::malformed_response, what);
  }
  SECTION("a limit of zero takes nothing, so it is an error") {
    CHECK_THROWS_AS(limited({.bytes = 0}), std::invalid_argument);
    CHECK_THROWS_AS(limited({.tool_calls = 0}), std::invalid_argument);
  }
}

TEST_CASE("a piece of a call's arguments comes without those before it") {
  std::string body = chunk(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"get","arguments":"{\"q\":\""}}])");
  for (int i = 0; i < 100; ++i) body += chunk(R"("tool_calls":[{"index":0,"function":{"arguments":"0123456789"}}])");
  body += chunk(R"("tool_calls":[{"index":0,"function":{"arguments":"\"}"}}])");
  const ReplayedCall call = streamed(events(body + stop));
  REQUIRE(call.result);
  std::string together;
  for (const testing::RecordedEvent& event : call.events) {
    if (event.type != StreamEvent::Type::tool_call_delta) continue;
    together += event.delta;
    REQUIRE(event.tool_call);
    CHECK(event.tool_call->id == "a");
    CHECK(event.tool_call->name == "get");
    CHECK(event.tool_call->arguments.empty());
  }
  REQUIRE(call.result->tool_calls().size() == 1);
  CHECK(call.result->tool_calls()[0].arguments == together);
}

TEST_CASE("an answer that is no JSON is quoted where it is a page, not where it begins like an answer") {
  CHECK(plain(json("<html>Bad Gateway</html>")).result.error().provider_message == "<html>Bad Gateway</html>");
  CHECK(plain(json(R"({"choices":[{"message":{"content":"my answer)")).result.error().provider_message.empty());
}

TEST_CASE("a stream of JSON documents may take its time, also when a stream was not asked for") {
  for (const bool stream : {true, false}) {
    for (const bool role_first : {true, false}) {
      ReplayedAnswer answer = json("");
      const auto add = [&](std::string_view delta, std::string_view reason) {
        answer.body += R"({"choices":[{"index":0,"delta":{)" + std::string{delta} + R"(},"finish_reason":)" + std::string{reason} + "}]}\n";
        answer.splits.push_back(answer.body.size());
      };
      if (role_first) add(R"("role":"assistant")", "null");
      add(R"("content":"Hello ")", "null");
      add(R"("content":"world")", "null");
      add("", R"("stop")");
      answer.pause = 3s;
      const ReplayedCall call = call_with(provider(), "Hi", answer, stream);
      REQUIRE(call.result);
      CHECK(call.result->text() == "Hello world");
    }
  }
}

TEST_CASE("an answer that is whole is not waited for when its body does not end") {
  ReplayedAnswer answer = json(R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})");
  answer.stays_open = true;
  const ReplayedCall call = plain(answer);
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
  CHECK(call.elapsed <= 1s);
}

TEST_CASE("what begins like an answer is quoted in no error, wherever its first piece ends") {
  const std::string stream = "data: " + std::string{R"({"choices":[{"index":0,"delta":{"content":"private words"}}]})"} + "\n\n";
  for (const std::string& body : {stream, "event: x\n" + stream, "id: 7\n" + stream, "retry: 1\n" + stream}) {
    for (std::size_t cut = 1; cut < 12; ++cut) {
      ReplayedAnswer answer = events(body);
      answer.splits = {cut};
      const ReplayedCall call = streamed(answer);
      REQUIRE_FALSE(call.result);
      CHECK(call.result.error().provider_message.find("private") == std::string::npos);
    }
  }
  CHECK(streamed(events("dat")).result.error().provider_message == "dat");
}

TEST_CASE("an envelope that says nothing of a failure is none") {
  const ReplayedCall call = streamed(events("data: {\"code\":\"\",\"message\":\"\"}\n\ndata: {\"code\":null,\"message\":\"fine\"}\n\n" +
                                            hello + stop + done));
  REQUIRE(call.result);
  CHECK(call.result->text() == "Hello");
}

TEST_CASE("whatever blanks come before a body are nothing, in however many pieces, with a byte order mark or without") {
  for (const std::string_view mark : {"", "\xEF\xBB\xBF"}) {
    for (const std::size_t piece : {1U, 2U, 3U, 1000U}) {
      ReplayedAnswer answer = json(std::string{mark} + std::string(100'000, '\n') +
                                   R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})");
      for (std::size_t end = piece; end < answer.body.size(); end += piece) answer.splits.push_back(end);
      const ReplayedCall call = plain(answer);
      REQUIRE(call.result);
      CHECK(call.result->text() == "Hello");
    }
  }
}

TEST_CASE("a body of more documents than anybody sends is refused") {
  std::string body;
  for (int i = 0; i < 100'001; ++i) body += "{}\n";
  const ReplayedCall call = plain(json(body));
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::malformed_response);
  CHECK(call.result.error().message.find("JSON documents") != std::string::npos);
}

TEST_CASE("options that cannot be right are refused with their names") {
  CHECK_THROWS_AS(openai({}), std::invalid_argument);
  CHECK_THROWS_AS(openai({.model = "m", .base_url = "api.openai.com"}), std::invalid_argument);
  CHECK_THROWS_AS(openai({.model = "m", .base_url = "https://"}), std::invalid_argument);
  CHECK_THROWS_AS(openai({.model = "m", .base_url = "https://user:word@host/v1"}), std::invalid_argument);
  for (const char* secret : {"htp://user:hunter2@host/v1", "htp://host/v1?key=hunter2"}) {
    try {
      static_cast<void>(openai({.model = "m", .base_url = secret}));
      FAIL("it was taken");
    } catch (const std::invalid_argument& refused) {
      CHECK(std::string{refused.what()}.find("hunter2") == std::string::npos);
    }
  }
  CHECK_THROWS_AS(openai({.model = "m", .api_key = "a\nb"}), std::invalid_argument);
  CHECK_THROWS_AS(openai({.model = "m", .headers = {{"a b", "c"}}}), std::invalid_argument);
  CHECK_THROWS_AS(openai_compatible({.model = "m", .name = "mine"}), std::invalid_argument);
  CHECK_THROWS_AS(openai_compatible({.model = "m", .base_url = "http://h"}), std::invalid_argument);
  CHECK_THROWS_AS(known_provider("azure", {.model = "m"}), std::invalid_argument);
  CHECK_FALSE(known_provider("no-such-provider", {.model = "m"}));
}

TEST_CASE("Ollama needs no key, and its address no version") {
  const ReplayedAnswer answer = json(R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})");
  for (const std::string base_url : {"", "http://box:11434/", "http://box:11434/v1"}) {
    const ReplayedCall call = call_with(ollama({.model = "llama3.2", .base_url = base_url}), "Hi", answer, false);
    REQUIRE(call.result);
    const std::string host = base_url.empty() ? "http://localhost:11434" : "http://box:11434";
    CHECK(call.requests.at(0).url == host + "/v1/chat/completions");
  }
}

TEST_CASE("a server that needs no key needs the one whose variable is named") {
  const ReplayedAnswer answer = json(R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})");
  CHECK(call_with(ollama({.model = "m"}), "Hi", answer, false).result);
  const ReplayedCall call =
      call_with(ollama({.model = "m", .api_key_env = "BACKSTOP_TEST_NO_SUCH_KEY"}), "Hi", answer, false);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::authentication);
  CHECK(call.requests.empty());
}

TEST_CASE("a secret among the headers that were forwarded is masked, where the provider repeats it") {
  ModelOptions options{.model = "gpt-4o", .api_key = "sk-1", .base_url = "http://h.test/v1"};
  options.forward_headers = {"x-my-token"};
  ChatRequest request{"Hi"};
  request.headers = {{"X-My-Token", "hunter2-hunter2"}};
  const ReplayedCall call = call_with(openai(options), request, json(R"({"error":"not hunter2-hunter2"})", 401), false);
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().provider_message == "not ***");
}

TEST_CASE("targets have the names that were given") {
  CHECK(openai({.model = "gpt-4o"}).target().name() == "openai/gpt-4o");
  CHECK(openai({.model = "gpt-4o", .name = "team-a"}).target().name() == "team-a/gpt-4o");
  CHECK(known_provider("togetherai", {.model = "m"})->target().name() == "togetherai/m");
}

TEST_CASE("what the application says of a model stands in its target's facts") {
  const Price price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(2)};
  const Capabilities capabilities{.tools = false, .prefill = true, .audio = false};
  for (const bool several_keys : {false, true}) {
    ModelOptions options{.model = "gpt-4o", .price = price, .context_window = 5, .max_output_tokens = 4,
                         .capabilities = capabilities, .failure_domain = "our account"};
    if (several_keys) options.credentials = credentials({"a", "b"});
    for (const Provider& model : {openai(options), openai_responses(options), anthropic(options)}) {
      CAPTURE(model.target().name());
      const ModelFacts& facts = model.target().facts();
      CHECK(facts.price == price);
      CHECK(facts.context_window == 5);
      CHECK(facts.max_output_tokens == 4);
      CHECK(facts.capabilities == capabilities);
      CHECK(facts.failure_domain == "our account");
      CHECK_FALSE(facts.local);
    }
  }
  CHECK(openai({.model = "gpt-4o"}).target().facts().context_window == 128'000);  // by the catalogue
  CHECK(openai({.model = "gpt-4o"}).target().facts().failure_domain.empty());
}

TEST_CASE("a server on this machine is known by its address") {
  const auto is_local = [](const char* base_url) {
    return openai_compatible({.model = "m", .base_url = base_url, .name = "mine"}).target().facts().local;
  };
  for (const char* base_url : {"http://localhost", "http://localhost:8080/v1", "HTTP://LocalHost/",
                               "http://127.0.0.1:1", "https://127.0.0.1/v1", "http://[::1]:8080/v1"}) {
    CAPTURE(base_url);
    CHECK(is_local(base_url));
  }
  for (const char* base_url : {"http://localhost.example.org", "http://127.0.0.10/v1", "http://box:8080",
                               "https://api.test/localhost", "http://[::12]:8080"}) {
    CAPTURE(base_url);
    CHECK_FALSE(is_local(base_url));
  }
  CHECK(ollama({.model = "m"}).target().facts().local);
}

TEST_CASE("each attempt of a call has a span of its own in the application's trace") {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-";
  ChatRequest request{"Hi"};
  request.metadata.trace_parent = trace + "b7ad6b7169203331-01";
  const ReplayedCall call = call_with(provider() | retry({.max_attempts = 3}), request, json("{}", 500), false);
  REQUIRE(call.requests.size() == 3);
  std::set<std::string> spans{"b7ad6b7169203331"};
  for (const HttpRequest& sent : call.requests) {
    const auto header = std::find_if(sent.headers.begin(), sent.headers.end(),
                                     [](const Header& one) { return one.first == "traceparent"; });
    REQUIRE(header != sent.headers.end());
    CHECK(header->second.substr(0, 36) == trace);
    CHECK(header->second.substr(52) == "-01");
    CHECK(spans.insert(header->second.substr(36, 16)).second);
  }
}

}  // namespace http_engine_test
