#include <utility>

#include "fault_pieces.hpp"
#include "fault_wires.hpp"

// Google's wire: the pieces of a stream have the form of a whole answer, the last has the reason, and no mark of the
// end follows.

namespace backstop::faults {
namespace {

constexpr const char* signature = "ZmF1bHQtc2lnbmF0dXJl";

Json gemini_usage(const Answer& answer) {
  const auto output = output_tokens(answer);
  const auto thoughts = reasoning_tokens(answer);
  return {{"promptTokenCount", answer.usage.input},
          {"cachedContentTokenCount", answer.usage.cached},
          {"candidatesTokenCount", output - thoughts},
          {"thoughtsTokenCount", thoughts},
          {"totalTokenCount", answer.usage.input + output}};
}

Json gemini_thought(std::string text) { return {{"text", std::move(text)}, {"thought", true}}; }

/// Where the model thought, the first of its calls has the proof.
Json gemini_call(const Answer& answer, std::size_t index) {
  const Answer::Call& call = answer.calls[index];
  Json part = {{"functionCall", {{"id", call.id}, {"name", call.name}, {"args", arguments_json(call)}}}};
  if (index == 0 && !answer.reasoning.empty()) part["thoughtSignature"] = signature;
  return part;
}

Json gemini_answer(const Answer& answer, std::string_view asked, Json parts, bool last) {
  Json candidate = {{"content", {{"role", "model"}, {"parts", std::move(parts)}}}, {"index", 0}};
  if (last) candidate["finishReason"] = finish_of(answer, "STOP", "STOP");
  Json usage = last ? gemini_usage(answer) : Json{{"promptTokenCount", answer.usage.input}};
  return {{"candidates", Json::array({std::move(candidate)})},
          {"usageMetadata", std::move(usage)},
          {"modelVersion", model_of(answer, asked)},
          {"responseId", "resp_fault"}};
}

std::string gemini_event(const Json& json) { return "data: " + json.dump() + "\r\n\r\n"; }

}  // namespace

std::string gemini_plain(const Answer& answer, std::string_view asked_model) {
  Json parts = Json::array();
  if (!answer.reasoning.empty()) parts.push_back(gemini_thought(answer.reasoning));
  if (!answer.text.empty()) parts.push_back({{"text", answer.text}});
  for (std::size_t i = 0; i < answer.calls.size(); ++i) parts.push_back(gemini_call(answer, i));
  return gemini_answer(answer, asked_model, std::move(parts), true).dump();
}

std::vector<StreamPart> gemini_stream(const Answer& answer, std::string_view asked_model) {
  std::vector<StreamPart> stream;
  const auto add = [&](Json part) {
    stream.push_back({gemini_event(gemini_answer(answer, asked_model, Json::array({std::move(part)}), false)),
                      StreamPart::Role::content});
  };
  for (auto& piece : pieces_of(answer.reasoning, answer.tokens_per_event)) add(gemini_thought(std::move(piece)));
  for (auto& piece : pieces_of(answer.text, answer.tokens_per_event)) add({{"text", std::move(piece)}});
  for (std::size_t i = 0; i < answer.calls.size(); ++i) add(gemini_call(answer, i));
  Json last = {{"text", ""}};
  if (answer.calls.empty() && !answer.reasoning.empty()) last["thoughtSignature"] = signature;
  stream.push_back({gemini_event(gemini_answer(answer, asked_model, Json::array({std::move(last)}), true)),
                    StreamPart::Role::closing});
  return stream;
}

}  // namespace backstop::faults
