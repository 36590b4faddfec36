#include "fault_pieces.hpp"

#include <fmt/core.h>
#include <algorithm>

namespace backstop::faults {
namespace {

/// Words, each with the blanks before it: joined they are the text again.
std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> tokens;
  while (!text.empty()) {
    const auto word = std::min(text.find_first_not_of(' '), text.size());
    const auto end = std::min(text.find(' ', word), text.size());
    tokens.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return tokens;
}

}  // namespace

std::vector<std::string> pieces_of(std::string_view text, std::size_t tokens_per_piece) {
  const auto tokens = tokens_of(text);
  std::vector<std::string> pieces;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i % std::max<std::size_t>(tokens_per_piece, 1) == 0) pieces.emplace_back();
    pieces.back() += tokens[i];
  }
  return pieces;
}

std::vector<std::string> halves_of(const std::string& text) {
  auto middle = text.size() / 2;
  while (middle < text.size() && (static_cast<unsigned char>(text[middle]) & 0xC0) == 0x80) ++middle;
  if (middle == 0 || middle == text.size()) return {text};
  return {text.substr(0, middle), text.substr(middle)};
}

std::string model_of(const Answer& answer, std::string_view asked) {
  if (!answer.model.empty()) return answer.model;
  return asked.empty() ? "fault-model" : std::string{asked};
}

std::int64_t reasoning_tokens(const Answer& answer) {
  return static_cast<std::int64_t>(tokens_of(answer.reasoning).size());
}

std::int64_t output_tokens(const Answer& answer) {
  if (answer.usage.output) return *answer.usage.output;
  return static_cast<std::int64_t>(tokens_of(answer.text).size() + answer.calls.size()) + reasoning_tokens(answer);
}

std::string finish_of(const Answer& answer, std::string_view stop, std::string_view tools) {
  if (!answer.finish.empty()) return answer.finish;
  return std::string{answer.calls.empty() ? stop : tools};
}

Json arguments_json(const Answer::Call& call) {
  Json arguments = Json::parse(call.arguments, nullptr, false);
  if (arguments.is_discarded()) arguments = call.arguments;
  return arguments;
}

std::string data_event(const Json& json) { return fmt::format("data: {}\n\n", json.dump()); }

std::string named_event(const Json& json) {
  return fmt::format("event: {}\ndata: {}\n\n", json["type"].get<std::string>(), json.dump());
}

std::string json_line(const Json& json) { return json.dump() + "\n"; }

}  // namespace backstop::faults
