#include "backstop/handover/needs.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "backstop/chat/token_estimate.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t characters_per_token_at_most = 6;

/// Hands every text that the model will read to `visit`.
template <class Visit>
void visit_texts(const ChatRequest& request, Visit visit) {
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<Text>(&part)) visit(text->text);
      if (const auto* call = std::get_if<ToolCall>(&part)) {
        visit(call->name);
        visit(call->arguments);
      }
      if (const auto* result = std::get_if<ToolResult>(&part)) visit(result->text);
    }
  }
  for (const Tool& tool : request.tools) {
    visit(tool.name);
    visit(tool.description);
    visit(tool.parameters);
  }
  if (request.response_format) visit(request.response_format->schema);
}

/// The tokens of the texts at the very least, see `unfit`.
[[nodiscard]] std::int64_t least_tokens(const ChatRequest& request) noexcept {
  std::int64_t characters = 0;
  visit_texts(request, [&characters](std::string_view text) {
    bool in_blank = false;
    for (const char letter : text) {
      const auto byte = static_cast<unsigned char>(letter);
      const bool blank = byte <= 0x20;
      const bool continuation = (byte & 0xc0U) == 0x80U;  // of a UTF-8 sequence
      if (!continuation && !(blank && in_blank)) ++characters;
      in_blank = blank;
    }
  });
  return characters / characters_per_token_at_most;
}

struct Capability {
  bool Needs::*needed;
  bool Capabilities::*offered;
  std::string_view message;
};

constexpr std::array<Capability, 5> capability_table{{
    {&Needs::tools, &Capabilities::tools, "the request uses tools, which this model does not support"},
    {&Needs::vision, &Capabilities::vision, "the conversation has images, which this model cannot read"},
    {&Needs::documents, &Capabilities::documents, "the conversation has documents, which this model cannot read"},
    {&Needs::json_schema, &Capabilities::json_schema,
     "the answer must follow a JSON schema, which this model does not support"},
    {&Needs::reasoning, &Capabilities::reasoning, "the request asks for reasoning, which this model does not support"},
}};

[[nodiscard]] Error refusal(ErrorKind kind, const Target& target, std::string message) {
  Error error{kind, std::move(message)};
  error.target = target;
  return error;
}

}  // namespace

Needs needs_of(const ChatRequest& request) noexcept {
  Needs needs;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      needs.vision = needs.vision || std::holds_alternative<Image>(part);
      needs.documents = needs.documents || std::holds_alternative<Document>(part);
      needs.tools = needs.tools || std::holds_alternative<ToolCall>(part) || std::holds_alternative<ToolResult>(part);
    }
  }
  if (!request.tools.empty()) needs.tools = true;
  needs.json_schema = request.response_format && request.response_format->type == ResponseFormat::Type::json_schema;
  const std::string_view effort = request.reasoning_effort;
  needs.reasoning = !effort.empty() && effort != "none" && effort != "minimal";
  needs.input_tokens = estimate_input_tokens(request);
  return needs;
}

std::optional<Error> unfit(const Target& target, const ChatRequest& request, const Needs& needs) {
  const ModelFacts& facts = target.facts();
  for (const Capability& row : capability_table) {
    if (needs.*row.needed && !(facts.capabilities.*row.offered)) {
      return refusal(ErrorKind::unsupported_capability, target, std::string{row.message});
    }
  }
  if (facts.context_window && needs.input_tokens > *facts.context_window) {
    const std::int64_t least = least_tokens(request);
    if (least > *facts.context_window) {
      return refusal(ErrorKind::context_window_exceeded, target,
                     fmt::format("the conversation has about {} tokens, and at least {}; this model's window has {}",
                                 needs.input_tokens, least, *facts.context_window));
    }
  }
  return std::nullopt;
}

}  // namespace backstop::inline v0
