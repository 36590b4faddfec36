#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>

#include "backstop/chat/error.hpp"
#include "backstop/chat/format.hpp"
#include "backstop/chat/message.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/stream_event.hpp"

namespace vocabulary_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

Error sample_error() {
  Error error{ErrorKind::timeout, "no token within 10 s"};
  error.timeout_limit = TimeoutLimit::first_token;
  error.target = Target::parse("anthropic/claude-sonnet-5");
  Attempt failed;
  failed.target = Target::parse("openai/gpt-4o");
  failed.outcome = ErrorKind::overloaded;
  failed.sent = true;
  failed.http_status = 503;
  failed.elapsed = 12ms;
  failed.request_id = "req_1";
  failed.reason = "Service unavailable";
  Attempt skipped;
  skipped.target = Target::parse("gemini/gemini-2.5-pro");
  skipped.outcome = ErrorKind::circuit_open;
  skipped.reason = "open for 12 s";
  Attempt slow;
  slow.target = error.target;
  slow.outcome = ErrorKind::timeout;
  slow.sent = true;
  slow.http_status = 200;
  slow.waited = 1500us;
  slow.elapsed = 10s;
  slow.cost = Money::usd(0.002);
  slow.cost_estimated = true;
  error.attempts = {failed, skipped, slow};
  return error;
}

}  // namespace

TEST_CASE("an error is one line, and a line per attempt") {
  CHECK(to_string(sample_error()) ==
        "timeout (first_token) at anthropic/claude-sonnet-5: no token within 10 s\n"
        "  1. openai/gpt-4o: overloaded, HTTP 503, took 12 ms, $0.00, request req_1: Service unavailable\n"
        "  2. gemini/gemini-2.5-pro: circuit_open, not sent: open for 12 s\n"
        "  3. anthropic/claude-sonnet-5: timeout, HTTP 200, waited 1.5 ms, took 10.0 s, about $0.002");
}

TEST_CASE("what a provider says cannot break an error's line or reach the terminal") {
  Error error{ErrorKind::server_error, "first\r\nsecond \x1b[31mred"};
  error.http_status = 500;
  CHECK(to_string(error) == "server_error, HTTP 500: first  second  [31mred");
}

TEST_CASE("the provider's words stand behind ours, for the error and for each attempt") {
  Error error{ErrorKind::overloaded, "the provider is overloaded"};
  error.provider_message = "Overloaded\n(really)";
  Attempt& attempt = error.attempts.emplace_back();
  attempt.target = Target{"a", "m"};
  attempt.outcome = ErrorKind::overloaded;
  attempt.reason = "the provider is overloaded; not retried";
  attempt.provider_message = "Overloaded";
  CHECK(to_string(error) ==
        "overloaded: the provider is overloaded (it said: Overloaded (really))\n"
        "  1. a/m: overloaded, not sent: the provider is overloaded; not retried (it said: Overloaded)");
  CHECK(reason_of(attempt) == "the provider is overloaded; not retried");
  attempt.reason.clear();
  CHECK(quoted_reason_of(attempt) == "(it said: Overloaded)");
}

TEST_CASE("the reason of a candidate that was skipped tells for how long it stays out") {
  Attempt attempt;
  attempt.out_for = 12300ms;
  CHECK(reason_of(attempt) == "(for another 12.3 s)");
  attempt.reason = "circuit_open";
  CHECK(reason_of(attempt) == "circuit_open (for another 12.3 s)");
}

TEST_CASE("values of the vocabulary can be formatted and aligned") {
  const Target target = Target::parse("openai/gpt-4o");
  CHECK(fmt::format("{}", sample_error()) == to_string(sample_error()));
  CHECK(fmt::format("[{:>8}]", Money::usd(0.5)) == "[   $0.50]");
  CHECK(fmt::format("[{:<15}]", target) == "[openai/gpt-4o  ]");
  CHECK(fmt::format("{} {} {} {} {}", Role::tool, ErrorKind::local_limit, TimeoutLimit::idle,
                    FinishReason::context_full, StreamEvent::Type::tool_call_delta) ==
        "tool local_limit idle context_full tool_call_delta");
}

TEST_CASE("enumerators have the names that the documentation uses") {
  using enum Role;
  CHECK(to_string(static_cast<Role>(9)) == "unknown");
  CHECK(to_string(static_cast<TimeoutLimit>(99)) == "unknown");
  CHECK(to_string(static_cast<FinishReason>(99)) == "unknown");
  CHECK(to_string(static_cast<StreamEvent::Type>(99)) == "unknown");
  CHECK(to_string(system) == "system");
  CHECK(to_string(user) == "user");
  CHECK(to_string(assistant) == "assistant");
  CHECK(to_string(tool) == "tool");
  CHECK(to_string(TimeoutLimit::none) == "none");
  CHECK(to_string(TimeoutLimit::connect) == "connect");
  CHECK(to_string(TimeoutLimit::first_byte) == "first_byte");
  CHECK(to_string(TimeoutLimit::first_token) == "first_token");
  CHECK(to_string(TimeoutLimit::idle) == "idle");
  CHECK(to_string(TimeoutLimit::attempt) == "attempt");
  CHECK(to_string(TimeoutLimit::deadline_share) == "deadline_share");
  CHECK(to_string(TimeoutLimit::client_deadline) == "client_deadline");
  CHECK(to_string(FinishReason::stop) == "stop");
  CHECK(to_string(FinishReason::length) == "length");
  CHECK(to_string(FinishReason::tool_calls) == "tool_calls");
  CHECK(to_string(FinishReason::content_filter) == "content_filter");
  CHECK(to_string(FinishReason::context_full) == "context_full");
  CHECK(to_string(FinishReason::paused) == "paused");
  CHECK(to_string(FinishReason::other) == "other");
  using Type = StreamEvent::Type;
  CHECK(to_string(Type::text) == "text");
  CHECK(to_string(Type::reasoning) == "reasoning");
  CHECK(to_string(Type::tool_call_delta) == "tool_call_delta");
  CHECK(to_string(Type::tool_call) == "tool_call");
  CHECK(to_string(Type::restarted) == "restarted");
  CHECK(to_string(Type::degraded) == "degraded");
  CHECK(to_string(Type::finished) == "finished");
  CHECK(to_string(Type::failed) == "failed");
}

TEST_CASE("what passes with time is what a provider or the way to it may do better a little later") {
  using enum ErrorKind;
  for (const ErrorTraits& row : error_table) {
    CAPTURE(row.name);
    const bool passes = row.kind == connect_failed || row.kind == timeout || row.kind == stream_interrupted ||
                        row.kind == rate_limited || row.kind == overloaded || row.kind == server_error;
    Error error{row.kind, ""};
    CHECK(passes_with_time(error) == passes);
    error.should_retry = true;
    CHECK(passes_with_time(error) == passes);
    error.should_retry = false;  // the server knows better
    CHECK_FALSE(passes_with_time(error));

    Error broken{stream_interrupted, ""};
    broken.cause = row.kind;
    CHECK(passes_with_time(broken) == passes);
  }
}

TEST_CASE("an attempt's line has the time to its first token, and what is known of its cost") {
  const auto line = [](bool known, Money cost, bool estimated) {
    Error error{ErrorKind::timeout, ""};
    Attempt& attempt = error.attempts.emplace_back();
    attempt.target = Target::parse("a/m");
    attempt.outcome = ErrorKind::timeout;
    attempt.sent = true;
    attempt.elapsed = 2s;
    attempt.ttft = 150ms;
    attempt.cost = cost;
    attempt.cost_known = known;
    attempt.cost_estimated = estimated;
    return to_string(error).substr(to_string(error).find("took"));
  };
  CHECK(line(true, Money::usd(0.5), false) == "took 2.0 s, first token after 150 ms, $0.50");
  CHECK(line(true, Money::usd(0.5), true) == "took 2.0 s, first token after 150 ms, about $0.50");
  CHECK(line(false, Money{}, true) == "took 2.0 s, first token after 150 ms, cost unknown");
}

TEST_CASE("an answer's text, reasoning and tool calls are found among its parts") {
  ChatResponse response;
  response.parts = {Reasoning{"first ", "", "", {}}, Text{"Hello "}, ToolCall{"1", "f", "{}"},
                    Reasoning{"second", "", "", {}}, Text{"world"},  ToolCall{"2", "g", "{}"}};
  CHECK(response.text() == "Hello world");
  CHECK(response.reasoning() == "first second");
  CHECK(response.tool_calls() == std::vector<ToolCall>{{"1", "f", "{}"}, {"2", "g", "{}"}});
}

TEST_CASE("an answer becomes the next turn, with its reasoning tagged by who wrote it") {
  ChatResponse response;
  response.served_by = Target::parse("anthropic/claude-sonnet-5");
  response.parts = {Reasoning{"hm", "sig", "", {}}, Reasoning{"", "", "x", Target::parse("a/b")}, Text{"Yes"}};
  const Message turn = response.message();
  CHECK(turn.role == Role::assistant);
  CHECK(std::get<Reasoning>(turn.parts[0]).origin == response.served_by);
  CHECK(std::get<Reasoning>(turn.parts[1]).origin == Target::parse("a/b"));
  CHECK(text_of(turn.parts) == "Yes");
}

TEST_CASE("a result is a value or an error") {
  Result<int> good{3};
  REQUIRE(good);
  CHECK(*good == 3);
  CHECK(good.value() == 3);
  Result<int> bad{Error{ErrorKind::cancelled, "stopped"}};
  REQUIRE_FALSE(bad);
  CHECK(bad.error().kind == ErrorKind::cancelled);
  Result<void> done;
  CHECK(done);
  CHECK_FALSE(Result<void>{Error{}});
}

TEST_CASE("a result's value() throws its error in words") {
  Result<int> bad{Error{ErrorKind::cancelled, "stopped"}};
  try {
    static_cast<void>(bad.value());
    FAIL("value() gave a value");
  } catch (const BadResult& thrown) {
    CHECK(std::string{thrown.what()} == "cancelled: stopped");
    CHECK(thrown.error().kind == ErrorKind::cancelled);
  }
}

TEST_CASE("content is what commits a stream") {
  using Type = StreamEvent::Type;
  for (const Type type : {Type::text, Type::reasoning, Type::tool_call_delta, Type::tool_call}) {
    CHECK(StreamEvent{.type = type}.is_content());
  }
  for (const Type type : {Type::restarted, Type::degraded, Type::finished, Type::failed}) {
    CHECK_FALSE(StreamEvent{.type = type}.is_content());
  }
}

}  // namespace vocabulary_test
