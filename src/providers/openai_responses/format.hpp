#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "providers/openai_chat/dialect.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// OpenAI's Responses API. Nothing is kept at the server: each request holds the whole conversation.
///
/// Source: OpenAI's OpenAPI document (`CreateResponse`, `ResponseStreamEvent` and what they refer to), and answers of
/// ten servers that speak it.
class OpenAiResponses final : public WireFormat {
 public:
  /// `dialect`: of the provider's chat wire; where it has a key, a role or a range of its own, this wire has the same.
  /// `summary`: how visible reasoning is asked for; empty: not at all.
  OpenAiResponses(OpenAiDialect dialect, std::string summary) noexcept
      : dialect_{dialect}, summary_{std::move(summary)} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "openai_responses"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;

 private:
  OpenAiDialect dialect_;
  std::string summary_;
};

}  // namespace backstop::inline v0::detail
