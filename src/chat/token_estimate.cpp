#include "chat/token_estimate.hpp"

#include <algorithm>

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t image_tokens = 1000;
constexpr std::int64_t largest_document = 100'000;
// What stands behind an address is not known before the provider has fetched it, so it counts as much as may stand
// there. Image: Anthropic scales down to 1568 pixels along the longer edge, which takes at most 1,600 tokens; OpenAI's
// high detail takes at most 1,105. Document: as the largest that comes by its bytes; 100 pages, the usual limit of the
// providers, of about 1,000 tokens.
constexpr std::int64_t image_by_address = 1600;
constexpr std::int64_t document_by_address = largest_document;

struct PartTokens {
  std::int64_t operator()(const Text& part) const noexcept { return estimate_tokens(part.text.size()); }
  std::int64_t operator()(const Image& part) const noexcept {
    return part.data.empty() && !part.url.empty() ? image_by_address : image_tokens;
  }
  std::int64_t operator()(const Document& part) const noexcept {
    if (part.data.empty() && !part.url.empty()) return document_by_address;
    return std::min(largest_document, estimate_tokens(part.data.size() / 4 * 3));
  }
  // At 32 tokens a second, and no denser than 32 kbit/s.
  std::int64_t operator()(const Audio& part) const noexcept {
    return static_cast<std::int64_t>(part.data.size() / 4 * 3 / 125);
  }
  std::int64_t operator()(const Reasoning& part) const noexcept {
    return estimate_tokens(part.text.size() + part.redacted.size());
  }
  std::int64_t operator()(const ToolCall& part) const noexcept {
    return estimate_tokens(part.name.size() + part.arguments.size());
  }
  std::int64_t operator()(const ToolResult& part) const noexcept {
    std::int64_t tokens = estimate_tokens(part.text.size());
    for (const ToolFile& file : part.files) tokens += std::visit(*this, file);
    return tokens;
  }
};

}  // namespace

std::int64_t estimate_tokens(const ToolResult& result) noexcept { return PartTokens{}(result); }

std::int64_t estimate_input_tokens(const ChatRequest& request) noexcept {
  std::int64_t tokens = 0;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) tokens += std::visit(PartTokens{}, part);
  }
  for (const Tool& tool : request.tools) {
    tokens += estimate_tokens(tool.name.size() + tool.description.size() + tool.parameters.size());
  }
  const bool format_is_sent = request.response_format && !request.response_format->by_instruction;
  if (format_is_sent) tokens += estimate_tokens(request.response_format->schema.size());
  return tokens;
}

}  // namespace backstop::inline v0
