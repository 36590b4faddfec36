#include <algorithm>

#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "backstop/providers/bedrock.hpp"
#include "fuzz/targets.hpp"
#include "support/aws_messages.hpp"
#include "support/every_wire.hpp"
#include "support/replayed_call.hpp"

namespace backstop::fuzz {
namespace {

using namespace testing_support;

constexpr std::size_t answer_limit = 4096;

std::vector<Provider> make_targets() {
  std::vector<Provider> made;
  constexpr AnswerLimits limits{.bytes = answer_limit, .stream_bytes = std::size_t{1} << 20U, .tool_calls = 8};
  const auto options = [&limits](std::string_view model) {
    return ModelOptions{.model = std::string{model},
                        .api_key = "test-key",
                        .base_url = "http://replayed.test/v1",
                        .answer_limits = limits};
  };
  for (const SpokenWire& wire : every_wire()) made.push_back(wire.make(options(wire.model)));
  made.push_back(bedrock({options("amazon.nova-lite-v1:0")}));
  return made;
}

/// Each line as a message of AWS's framing: the event's type, a blank, its JSON.
std::string framed(std::string_view lines) {
  std::string bytes;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, std::min(blank, std::size_t{200}));
    bytes += aws_event(name, line.substr(std::min(blank + 1, line.size())));
  }
  return bytes;
}

struct Came {
  std::string answer;  ///< as JSON, without times
  std::string text;
  std::string deltas;
  bool ok = false;
};

Came call(const Provider& provider, const ReplayedAnswer& answer, bool stream) {
  ReplayedCall made = call_with(provider, ChatRequest{"Hi"}, answer, stream);
  require(made.left_nothing, "a call leaves something behind");
  require(made.requests.size() <= 2, "a request is sent again");
  Came came;
  came.ok = made.result.has_value();
  for (const auto& event : made.events) {
    if (event.type == StreamEvent::Type::text) came.deltas += event.delta;
  }
  if (came.ok) {
    came.text = made.result->text();
    require(came.text.size() <= answer_limit, "an answer is larger than its limit");
    require(made.result->tool_calls().size() <= 8, "there are more tool calls than the limit");
    for (const ToolCall& tool : made.result->tool_calls()) {
      require(!tool.id.empty() && !tool.name.empty(), "a tool call has no id or no name");
      static_cast<void>(json_text(to_json(tool)));
    }
  } else {
    require(!made.result.error().message.empty(), "a failure says nothing");
    came.text = made.result.error().partial_text;
  }
  auto json = result_to_json(made.result);
  for (const char* key : {"elapsed_ms", "attempts"}) json.erase(key);
  came.answer = json_text(json);
  return came;
}

}  // namespace

/// A body of any wire, whole or as a stream: the answer does not depend on where the bytes are cut, nor on whether the
/// caller streams; a success has all the text that was handed over; every limit holds.
void answers(std::string_view bytes) {
  static const std::vector<Provider> made = make_targets();
  Input input{bytes};
  const std::uint8_t wire = input.byte();
  const std::uint8_t seed = input.byte();
  const std::uint8_t flags = input.byte();
  const Provider& provider = made[wire % made.size()];
  if (input.rest().size() > 20'000) return;
  ReplayedAnswer answer;
  answer.headers = {{"content-type", (flags & 2U) != 0 ? "text/event-stream" : "application/json"}};
  answer.body = (flags & 4U) != 0 ? framed(input.rest()) : std::string{input.rest()};
  answer.cut = (flags & 8U) != 0;
  const bool stream = (flags & 1U) != 0;

  const Came whole = call(provider, answer, stream);
  if (stream) require(whole.deltas == whole.text, "what was handed over is not the text of the answer");
  answer.splits = cuts(answer.body.size(), seed);
  const Came cut = call(provider, answer, stream);
  require(whole.answer == cut.answer,
          "the answer depends on where the bytes are cut: " + whole.answer + "\n or: " + cut.answer);
}

}  // namespace backstop::fuzz
