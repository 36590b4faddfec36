#include "backstop/chat/token_estimate.hpp"

#include <algorithm>

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t image_tokens = 1000;
constexpr std::int64_t largest_document = 100'000;

struct PartTokens {
  std::int64_t operator()(const Text& part) const noexcept { return estimate_tokens(part.text.size()); }
  std::int64_t operator()(const Image&) const noexcept { return image_tokens; }
  std::int64_t operator()(const Document& part) const noexcept {
    return std::min(largest_document, estimate_tokens(part.data.size() / 4 * 3));
  }
  std::int64_t operator()(const Reasoning& part) const noexcept {
    return estimate_tokens(part.text.size() + part.redacted.size());
  }
  std::int64_t operator()(const ToolCall& part) const noexcept {
    return estimate_tokens(part.name.size() + part.arguments.size());
  }
  std::int64_t operator()(const ToolResult& part) const noexcept { return estimate_tokens(part.text.size()); }
};

}  // namespace

std::int64_t estimate_input_tokens(const ChatRequest& request) noexcept {
  std::int64_t tokens = 0;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) tokens += std::visit(PartTokens{}, part);
  }
  for (const Tool& tool : request.tools) {
    tokens += estimate_tokens(tool.name.size() + tool.description.size() + tool.parameters.size());
  }
  if (request.response_format) tokens += estimate_tokens(request.response_format->schema.size());
  return tokens;
}

}  // namespace backstop::inline v0
