#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// Anthropic's Messages API.
class AnthropicFormat final : public WireFormat {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "anthropic"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;
};

/// What differs where another company offers the API.
struct AnthropicPlatform {
  /// Of the API as that platform offers it. Set: it goes into the body, and the model and the way of answering stand in
  /// the address.
  std::string_view version{};
  bool enforces_schema = true;  ///< where the model does
};

/// The body of a request.
[[nodiscard]] Result<std::string> encode_anthropic_body(const ChatRequest& request, const Target& target, bool stream,
                                                        const AnthropicPlatform& platform = {});

}  // namespace backstop::inline v0::detail
