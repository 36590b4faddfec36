#include <utility>

#include "fault_pieces.hpp"
#include "fault_wires.hpp"

// Cohere's wire: named events around the parts of a message, `message-end` with the reason, and `[DONE]` behind it.

namespace backstop::faults {
namespace {

using Role = StreamPart::Role;

Json cohere_usage(const Answer& answer) {
  const auto output = output_tokens(answer);
  return {{"billed_units", {{"input_tokens", answer.usage.input}, {"output_tokens", output}}},
          {"tokens", {{"input_tokens", answer.usage.input}, {"output_tokens", output}}},
          {"cached_tokens", answer.usage.cached}};
}

Json cohere_call(const Answer::Call& call, const std::string& arguments) {
  return {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments}}}};
}

class CohereStream {
 public:
  explicit CohereStream(const Answer& answer) : answer_{answer} {}

  std::vector<StreamPart> parts() {
    add({{"type", "message-start"},
         {"id", "resp_fault"},
         {"delta", {{"message", {{"role", "assistant"}, {"content", Json::array()}}}}}},
        Role::frame);
    if (!answer_.reasoning.empty()) add_content("thinking", answer_.reasoning);
    if (!answer_.text.empty()) add_content("text", answer_.text);
    for (std::size_t i = 0; i < answer_.calls.size(); ++i) add_call(i);
    add({{"type", "message-end"},
         {"delta", {{"finish_reason", finish_of(answer_, "COMPLETE", "TOOL_CALL")}, {"usage", cohere_usage(answer_)}}}},
        Role::closing);
    parts_.push_back({"data: [DONE]\n\n", Role::closing});
    return std::move(parts_);
  }

 private:
  void add_content(const char* kind, const std::string& text) {
    said("content-start", index_, {{"content", {{"type", kind}, {kind, ""}}}}, Role::frame);
    for (auto& piece : pieces_of(text, answer_.tokens_per_event)) {
      said("content-delta", index_, {{"content", {{kind, std::move(piece)}}}}, Role::content);
    }
    add({{"type", "content-end"}, {"index", index_++}}, Role::frame);
  }

  void add_call(std::size_t index) {
    const Answer::Call& call = answer_.calls[index];
    said("tool-call-start", index, {{"tool_calls", cohere_call(call, "")}}, Role::content);
    for (const auto& half : halves_of(call.arguments)) {
      said("tool-call-delta", index, {{"tool_calls", {{"function", {{"arguments", half}}}}}}, Role::content);
    }
    add({{"type", "tool-call-end"}, {"index", index}}, Role::frame);
  }

  void said(const char* type, std::size_t index, Json message, Role role) {
    add({{"type", type}, {"index", index}, {"delta", {{"message", std::move(message)}}}}, role);
  }
  void add(const Json& event, Role role) { parts_.push_back({named_event(event), role}); }

  const Answer& answer_;
  std::size_t index_ = 0;
  std::vector<StreamPart> parts_;
};

}  // namespace

std::string cohere_plain(const Answer& answer) {
  Json content = Json::array();
  if (!answer.reasoning.empty()) content.push_back({{"type", "thinking"}, {"thinking", answer.reasoning}});
  if (!answer.text.empty()) content.push_back({{"type", "text"}, {"text", answer.text}});
  Json message = {{"role", "assistant"}, {"content", std::move(content)}};
  for (const auto& call : answer.calls) message["tool_calls"].push_back(cohere_call(call, call.arguments));
  return Json{{"id", "resp_fault"},
              {"message", std::move(message)},
              {"finish_reason", finish_of(answer, "COMPLETE", "TOOL_CALL")},
              {"usage", cohere_usage(answer)}}
      .dump();
}

std::vector<StreamPart> cohere_stream(const Answer& answer) { return CohereStream{answer}.parts(); }

}  // namespace backstop::faults
