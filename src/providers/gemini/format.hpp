#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "providers/http/platform.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// What differs where Google's wire is offered.
struct GeminiPlatform {
  Platform at;
  bool call_ids = true;  ///< takes the ids of calls
};

inline constexpr GeminiPlatform gemini_itself{.at = {.path = "/{model}:generateContent",
                                                     .stream_path = "/{model}:streamGenerateContent?alt=sse",
                                                     .root = "/v1beta",
                                                     .other_root = "/v1",
                                                     .collection = "models/",
                                                     .key_header = "x-goog-api-key"}};

/// Google's generateContent.
class GeminiFormat final : public WireFormat {
 public:
  explicit GeminiFormat(const GeminiPlatform& platform = gemini_itself) noexcept : platform_{platform} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "gemini"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;

 private:
  GeminiPlatform platform_;
};

/// The body of a request.
[[nodiscard]] Result<std::string> encode_gemini_body(const ChatRequest& request, const Target& target,
                                                     const GeminiPlatform& platform = gemini_itself);

}  // namespace backstop::inline v0::detail
