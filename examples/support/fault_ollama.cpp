#include <utility>

#include "fault_pieces.hpp"
#include "fault_wires.hpp"

// Ollama's own wire: a JSON document on a line of its own for each piece, and `done` in the last.

namespace backstop::faults {
namespace {

Json ollama_line(const Answer& answer, std::string_view asked, Json message, bool done) {
  message["role"] = "assistant";
  if (!message.contains("content")) message["content"] = "";
  Json line = {{"model", model_of(answer, asked)},
               {"created_at", "2026-01-01T00:00:00Z"},
               {"message", std::move(message)},
               {"done", done}};
  if (!done) return line;
  line["done_reason"] = finish_of(answer, "stop", "stop");
  line["prompt_eval_count"] = answer.usage.input;
  line["eval_count"] = output_tokens(answer);
  return line;
}

Json ollama_calls(const Answer& answer) {
  Json calls = Json::array();
  for (const auto& call : answer.calls) {
    const std::size_t index = calls.size();
    calls.push_back(
        {{"id", call.id}, {"function", {{"index", index}, {"name", call.name}, {"arguments", arguments_json(call)}}}});
  }
  return calls;
}

}  // namespace

std::string ollama_plain(const Answer& answer, std::string_view asked_model) {
  Json message = {{"content", answer.text}};
  if (!answer.reasoning.empty()) message["thinking"] = answer.reasoning;
  if (!answer.calls.empty()) message["tool_calls"] = ollama_calls(answer);
  return ollama_line(answer, asked_model, std::move(message), true).dump();
}

std::vector<StreamPart> ollama_stream(const Answer& answer, std::string_view asked_model) {
  std::vector<StreamPart> stream;
  const auto add = [&](Json message, bool done) {
    stream.push_back({json_line(ollama_line(answer, asked_model, std::move(message), done)),
                      done ? StreamPart::Role::closing : StreamPart::Role::content});
  };
  for (auto& piece : pieces_of(answer.reasoning, answer.tokens_per_event)) add({{"thinking", std::move(piece)}}, false);
  for (auto& piece : pieces_of(answer.text, answer.tokens_per_event)) add({{"content", std::move(piece)}}, false);
  if (!answer.calls.empty()) add({{"tool_calls", ollama_calls(answer)}}, false);
  add(Json::object(), true);
  return stream;
}

}  // namespace backstop::faults
