#include <chrono>
#include <string>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/matchers.hpp"
#include "support/every_wire.hpp"
#include "support/fault_oddities.hpp"
#include "support/fault_server.hpp"

namespace odd_streams_test {

using namespace backstop;
using namespace backstop::testing;
using namespace backstop::testing_support;
using namespace std::chrono_literals;
using faults::FaultServer;

namespace {

/// The answer to a streamed call over a real socket.
Result<ChatResponse> streamed(const Provider& provider) {
  const FallbackClient client{{provider | timeout(10s)}, {.recovery = {.max_wait = 0s}}};
  ChatStream stream = client.stream("Hi");
  for (const StreamEvent& event : stream) static_cast<void>(event);
  return stream.result();
}

Provider gpt(const FaultServer& server) { return every_wire().front().at(server); }

}  // namespace

TEST_CASE("streams that are odd are understood all the same") {
  FaultServer server;
  const faults::Answer what{.text = "One two three", .usage = {.input = 7}};
  for (const faults::Behaviour& oddity :
       {faults::crlf_events(what), faults::comments_between(what), faults::blanks_before(3000, what),
        faults::tight_fields(what), faults::finish_twice(what), faults::without_done(what),
        faults::dribble(faults::answer(what)), faults::coalesced(faults::answer(what)), faults::ignores_stream(what)}) {
    for (const SpokenWire& wire : every_wire()) {
      CAPTURE(oddity.name, wire.name);
      server.always(oddity);
      const auto reply = streamed(wire.at(server));
      REQUIRE(answers(reply, "One two three"));
      CHECK(reply->finish_reason == FinishReason::stop);
      CHECK(reply->usage.input_tokens == 7);
      CHECK(reply->usage.output_tokens == 3);
    }
  }
  server.always(faults::done_without_finish(what));
  CHECK(answers(streamed(gpt(server)), "One two three"));
}

TEST_CASE("errors within a stream are found in every shape", "[scenario-203]") {
  FaultServer server;
  for (const faults::Behaviour& fault :
       {faults::error_field_after(0), faults::bare_error_after(0), faults::error_beside_choices_after(0),
        faults::flat_error_after(0), faults::done_only(), faults::error_event_after(0)}) {
    for (const SpokenWire& wire : every_wire()) {
      if (faults::is_binary(wire.wire) && fault.name != "error_event_after") continue;  // the shapes are of text
      CAPTURE(fault.name, wire.name);
      server.always(fault);
      const auto reply = streamed(wire.at(server));
      REQUIRE_FALSE(answers(reply));
      CHECK_FALSE(reply.error().committed);
      if (fault.name != "done_only" || wire.wire == faults::Wire::openai) {
        CHECK_FALSE(fails_with(reply, ErrorKind::stream_interrupted));
      }
    }
  }
  for (const faults::Behaviour& fault :
       {faults::error_field_after(2), faults::bare_error_after(2), faults::error_beside_choices_after(2),
        faults::flat_error_after(2), faults::error_event_after(2)}) {
    for (const SpokenWire& wire : every_wire()) {
      if (faults::is_binary(wire.wire) && fault.name != "error_event_after") continue;
      CAPTURE(fault.name, wire.name);
      server.always(fault);
      const auto reply = streamed(wire.at(server));
      REQUIRE(fails_with(reply, ErrorKind::stream_interrupted));
      CHECK(reply.error().cause != ErrorKind::stream_interrupted);
      CHECK(reply.error().partial_text == "Hello from");
      // An event among lines of JSON is no line: where it begins like a piece of an answer it is not quoted.
      const bool event_among_lines = fault.name == "flat_error_after" || fault.name == "error_beside_choices_after";
      const bool hidden = wire.wire == faults::Wire::ollama && event_among_lines;
      CHECK(reply.error().provider_message.empty() == hidden);
    }
  }
}

}  // namespace odd_streams_test
