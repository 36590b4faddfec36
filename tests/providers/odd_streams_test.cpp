#include <chrono>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "backstop/testing/matchers.hpp"
#include "support/fault_oddities.hpp"
#include "support/fault_server.hpp"

namespace odd_streams_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using faults::FaultServer;

namespace {

/// The answer to a streamed call over a real socket.
Result<ChatResponse> streamed(const Provider& provider) {
  const FallbackClient client{provider | timeout(10s)};
  ChatStream stream = client.stream("Hi");
  for (const StreamEvent& event : stream) static_cast<void>(event);
  return stream.result();
}

Provider gpt(const FaultServer& server) {
  return openai({.model = "gpt-4o", .api_key = "key", .base_url = server.base_url("/v1")});
}
Provider claude(const FaultServer& server) {
  return anthropic({.model = "claude-sonnet-5", .api_key = "key", .base_url = server.base_url()});
}
Provider sol(const FaultServer& server) {
  return openai_responses({.model = "gpt-5.6-sol", .api_key = "key", .base_url = server.base_url("/v1")});
}

}  // namespace

TEST_CASE("streams that are odd are understood all the same") {
  FaultServer server;
  const faults::Answer what{.text = "One two three", .usage = {.input = 7}};
  for (const faults::Behaviour& oddity :
       {faults::crlf_events(what), faults::comments_between(what), faults::blanks_before(3000, what),
        faults::tight_fields(what), faults::finish_twice(what), faults::without_done(what)}) {
    CAPTURE(oddity.name);
    server.always(oddity);
    const auto by_gpt = streamed(gpt(server));
    REQUIRE(answers(by_gpt, "One two three"));
    CHECK(by_gpt->finish_reason == FinishReason::stop);
    CHECK(by_gpt->usage.output_tokens == 3);
    const auto by_claude = streamed(claude(server));
    REQUIRE(answers(by_claude, "One two three"));
    CHECK(by_claude->usage.output_tokens == 3);
    const auto by_sol = streamed(sol(server));
    REQUIRE(answers(by_sol, "One two three"));
    CHECK(by_sol->usage.output_tokens == 3);
  }
  server.always(faults::done_without_finish(what));
  CHECK(answers(streamed(gpt(server)), "One two three"));
}

TEST_CASE("errors within a stream are found in every shape", "[scenario-203]") {
  FaultServer server;
  for (const faults::Behaviour& fault :
       {faults::error_field_after(0), faults::bare_error_after(0), faults::error_beside_choices_after(0),
        faults::flat_error_after(0), faults::done_only(), faults::error_event_after(0)}) {
    CAPTURE(fault.name);
    server.always(fault);
    const auto reply = streamed(gpt(server));
    REQUIRE_FALSE(answers(reply));
    CHECK_FALSE(reply.error().committed);
    CHECK_FALSE(fails_with(reply, ErrorKind::stream_interrupted));
  }
  for (const faults::Behaviour& fault :
       {faults::error_field_after(2), faults::bare_error_after(2), faults::error_beside_choices_after(2),
        faults::flat_error_after(2), faults::error_event_after(2)}) {
    CAPTURE(fault.name);
    server.always(fault);
    const auto reply = streamed(gpt(server));
    REQUIRE(fails_with(reply, ErrorKind::stream_interrupted));
    CHECK(reply.error().partial_text == "Hello from");
  }
}

}  // namespace odd_streams_test
