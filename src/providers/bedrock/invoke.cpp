#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "format.hpp"
#include "models.hpp"
#include "providers/anthropic/format.hpp"
#include "providers/wire/base64.hpp"
#include "providers/wire/service_tier.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] bool is_by_address(const Part& part) noexcept {
  const auto* image = std::get_if<Image>(&part);
  const auto* document = std::get_if<Document>(&part);
  return (image != nullptr && image->data.empty()) || (document != nullptr && document->data.empty());
}

/// Events of Anthropic's in base64, each in a message: `{"bytes": "eyJ0eXBlIjoi..."}`.
class InvokeStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    const std::optional<JsonElement> bytes = member(data, "bytes");
    if (!bytes) return inner_->on_event(name == "chunk" ? std::string_view{} : name, data, answer);
    event_ = decode_base64(as_text(*bytes)).value_or("");
    document_.parse(event_);
    if (document_.valid()) return inner_->on_event({}, document_.root(), answer);
    answer.unreadable("an event");
    return Next::end;
  }
  Next on_done(AnswerBuilder& answer) override { return inner_->on_done(answer); }
  void on_end(AnswerBuilder& answer) override { inner_->on_end(answer); }

 private:
  std::unique_ptr<StreamDecoder> inner_ = AnthropicFormat{}.stream_decoder();
  std::string event_;
  JsonDocument document_;
};

}  // namespace

RequestLimits BedrockMessagesFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  RequestLimits limits = AnthropicFormat{}.limits(request, target);
  limits.service_tier = service_tier_word({}, request.service_tier).has_value();  // not in the body of InvokeModel
  return limits;
}

Result<HttpRequest> BedrockMessagesFormat::encode(const ChatRequest& request, const Endpoint& endpoint,
                                                  bool stream) const {
  for (const Message& message : request.messages) {
    if (std::none_of(message.parts.begin(), message.parts.end(), is_by_address)) continue;
    return Error{ErrorKind::unsupported_capability,
                 "the conversation has an image or a document by its address: Bedrock takes bytes"};
  }
  const AnthropicPlatform platform{"bedrock-2023-05-31", bedrock_enforces_schema(endpoint.target.model())};
  Result<std::string> body = encode_anthropic_body(request, endpoint.target, stream, platform);
  if (!body) return std::move(body).error();
  return request_to(stream ? "invoke-with-response-stream" : "invoke", *std::move(body), request, endpoint, stream);
}

void BedrockMessagesFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  AnthropicFormat{}.decode(body, answer);
}

std::unique_ptr<StreamDecoder> BedrockMessagesFormat::stream_decoder() const {
  return std::make_unique<InvokeStreamDecoder>();
}

const HandoverRules& BedrockMessagesFormat::handover_rules(const Target& target) const noexcept {
  static_cast<void>(target);
  return v0::handover_rules("bedrock_anthropic");
}

}  // namespace backstop::inline v0::detail
