#include "backstop/testing/faults.hpp"

#include <set>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/matchers.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace faults_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

TEST_CASE("every fault is to the caller what it says, and leaves nothing behind") {
  std::set<std::string_view> names;
  for (const NamedFault& fault : every_fault()) {
    CAPTURE(fault.name);
    CHECK(names.insert(fault.name).second);
    VirtualRuntime runtime;
    EventLog log{runtime.runtime()};
    const ScriptedProvider provider{"a/m", {fault.step}};
    const auto reply = runtime.call(provider | timeout({.first_token = 30s}), "hello", {.sink = &log});
    if (fault.kind) {
      CHECK(fails_with(reply, *fault.kind, "a/m"));
    } else {
      CHECK(answers(reply));
    }
    CHECK(sends(reply, 1));
    CHECK(runtime.idle());
  }
}

TEST_CASE("with another target every fault but a bad request is survived or told, never both") {
  for (const NamedFault& fault : every_fault()) {
    CAPTURE(fault.name);
    VirtualRuntime runtime;
    const ScriptedProvider first{"a/m", {fault.step}};
    const ScriptedProvider second{"b/m", {answer("rescued")}};
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = runtime.share();
    options.fall_back_on_content_filter = true;
    const FallbackClient client{{first | timeout({.first_token = 30s}), second}, options};
    const auto reply = client.chat("hello");
    if (fault.kind == ErrorKind::invalid_request) {
      CHECK(fails_with(reply, ErrorKind::invalid_request));
    } else if (fault.kind == ErrorKind::context_window_exceeded || fault.kind == ErrorKind::model_not_found) {
      CHECK(sends_to(reply, "a/m", 1));
    } else {
      CHECK(answered_by(reply, fault.kind ? "b/m" : "a/m"));
    }
  }
}

TEST_CASE("faults come with the status, the code and the hint that they usually have") {
  VirtualRuntime runtime;
  const ScriptedProvider provider{"a/m",
                                  {rate_limited(2s), quota_exhausted(), filtered("violence"), connection_refused()}};
  const auto limited = runtime.call(provider, "hello");
  CHECK(limited.error().http_status == 429);
  CHECK(limited.error().retry_after == 2s);
  const auto quota = runtime.call(provider, "hello");
  CHECK(quota.error().code == "insufficient_quota");
  const auto filter = runtime.call(provider, "hello");
  CHECK(filter.error().http_status == 400);
  CHECK(filter.error().message == "violence");
  CHECK(runtime.call(provider, "hello").error().replay == ReplaySafety::not_sent);
}

TEST_CASE("what has no delay takes no time") {
  VirtualRuntime runtime;
  EventLog log{runtime.runtime()};
  const ScriptedProvider provider{"a/m", {answer("hi"), error(ErrorKind::server_error), connection_refused()}};
  CHECK(answers(runtime.call(provider, "hello", {.sink = &log})));
  CHECK(fails_with(runtime.call(provider, "hello"), ErrorKind::server_error));
  const auto refused = runtime.call(provider, "hello");
  CHECK(fails_with(refused, ErrorKind::connect_failed));
  CHECK(refused.error().replay == ReplaySafety::not_sent);
  CHECK(runtime.elapsed() == 0s);
}

TEST_CASE("a delay is one of the connection, of the first byte or of the first content, as the step says") {
  const auto streamed = [](Step step, const TimeoutOptions& limits) {
    VirtualRuntime runtime;
    EventLog log{runtime.runtime()};
    const auto reply = runtime.call(ScriptedProvider{"a/m", {std::move(step)}} | timeout(limits), "hello", {.sink = &log});
    if (!reply) return reply.error().timeout_limit;
    CHECK(runtime.elapsed() == 10s);
    return TimeoutLimit::none;
  };
  CHECK(streamed(late_first_token(10s), {.connect = 1s, .first_byte = 1s}) == TimeoutLimit::none);
  CHECK(streamed(late_first_token(10s), {.first_token = 9s}) == TimeoutLimit::first_token);
  CHECK(streamed(answer("hi").after(10s), {.connect = 1s}) == TimeoutLimit::none);
  CHECK(streamed(answer("hi").after(10s), {.first_byte = 9s}) == TimeoutLimit::first_byte);
  CHECK(streamed(answer("hi").connects_after(10s), {.connect = 11s, .first_byte = 1s}) == TimeoutLimit::none);
}

TEST_CASE("a step can refuse to go on with another's answer, name its model and tell of limits") {
  VirtualRuntime runtime;
  RateLimitStatus status;
  status.requests.remaining = 3;
  const ScriptedProvider provider{"a/m", {answer("hi").model("m-2026-01").rate_limit(status).without_prefill()}};
  const auto reply = runtime.call(provider, "hello");
  REQUIRE(answers(reply));
  CHECK(reply->model == "m-2026-01");
  REQUIRE(reply->attempts[0].rate_limit);
  CHECK(*reply->attempts[0].rate_limit == status);

  ChatRequest to_continue{"hello"};
  to_continue.messages.push_back(Message::assistant("Once upon"));
  const auto refused = runtime.call(provider, to_continue);
  CHECK(fails_with(refused, ErrorKind::invalid_request));
  CHECK(refused.error().http_status == 400);
}

}  // namespace faults_test
