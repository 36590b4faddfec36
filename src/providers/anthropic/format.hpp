#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "providers/http/platform.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// What differs where Anthropic's wire is offered.
struct AnthropicPlatform {
  Platform at;
  std::string_view rules = "anthropic";  ///< of conversations (`handover_rules`)
  bool takes_sampling = true;            ///< where the model does
  bool service_tiers = true;             ///< the body says which is wanted
  bool stream_in_body = true;            ///< the body says whether a stream is wanted, whatever the path says
  bool enforces_schema = true;           ///< where the model does
  bool fetches_files = true;             ///< takes images and documents by their address
};

inline constexpr AnthropicPlatform anthropic_itself{.at = {.path = "/messages",
                                                           .root = "/v1",
                                                           .key_header = "x-api-key",
                                                           .version = "2023-06-01",
                                                           .version_header = "anthropic-version"}};
inline constexpr AnthropicPlatform anthropic_since_2026{.at = {.path = "/messages",
                                                               .root = "/v1",
                                                               .version = "2026-10-21",
                                                               .version_header = "anthropic-version"},
                                                        .takes_sampling = false};

/// Anthropic's Messages API.
class AnthropicFormat final : public WireFormat {
 public:
  explicit AnthropicFormat(const AnthropicPlatform& platform = anthropic_itself) noexcept : platform_{platform} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "anthropic"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;

 private:
  AnthropicPlatform platform_;
};

/// The body of a request.
[[nodiscard]] Result<std::string> encode_anthropic_body(const ChatRequest& request, const Target& target, bool stream,
                                                        const AnthropicPlatform& platform = anthropic_itself);

}  // namespace backstop::inline v0::detail
