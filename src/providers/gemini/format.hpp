#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// Google's generateContent.
class GeminiFormat final : public WireFormat {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "gemini"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;
};

/// The body of a request.
[[nodiscard]] Result<std::string> encode_gemini_body(const ChatRequest& request, const Target& target);

}  // namespace backstop::inline v0::detail
