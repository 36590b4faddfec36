#pragma once

#include <memory>
#include <string_view>

#include "dialect.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// OpenAI Chat Completions, and what its imitators make of it.
///
/// Source: OpenAI's OpenAPI document (`CreateChatCompletionRequest` and what it refers to), and answers of some twenty
/// servers that speak it.
class OpenAiChat final : public WireFormat {
 public:
  explicit OpenAiChat(OpenAiDialect dialect) noexcept : dialect_{dialect} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "openai"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  [[nodiscard]] RepairSet own_repairs(const ChatRequest& request, const Target& target,
                                      bool stream) const noexcept override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;

 private:
  OpenAiDialect dialect_;
};

}  // namespace backstop::inline v0::detail
