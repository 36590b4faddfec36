#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "models.hpp"
#include "providers/wire/base64.hpp"
#include "providers/wire/service_tier.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Events of Anthropic's in base64, each in a message: `{"bytes": "eyJ0eXBlIjoi..."}`.
class InvokeStreamDecoder final : public StreamDecoder {
 public:
  explicit InvokeStreamDecoder(std::unique_ptr<StreamDecoder> inner) noexcept : inner_{std::move(inner)} {}

  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    const std::optional<JsonElement> bytes = member(data, "bytes");
    if (!bytes) return inner_->on_event(name == "chunk" ? std::string_view{} : name, data, answer);
    event_ = decode_base64(as_text(*bytes)).value_or("");
    const JsonDocument document{event_};
    if (document.valid()) return inner_->on_event({}, document.root(), answer);
    answer.unreadable("an event");
    return Next::end;
  }
  Next on_done(AnswerBuilder& answer) override { return inner_->on_done(answer); }
  void on_end(AnswerBuilder& answer) override { inner_->on_end(answer); }

 private:
  std::unique_ptr<StreamDecoder> inner_;
  std::string event_;
};

}  // namespace

BedrockMessagesFormat::BedrockMessagesFormat(std::string region, std::string_view model)
    : BedrockFormat{std::move(region)},
      messages_{AnthropicPlatform{.at = {.path = "/model/{model}/invoke",
                                         .stream_path = "/model/{model}/invoke-with-response-stream",
                                         .version = "bedrock-2023-05-31",
                                         .stream_type = event_stream_type},
                                  .rules = "bedrock_anthropic",
                                  .service_tiers = false,
                                  .stream_in_body = false,
                                  .enforces_schema = bedrock_enforces_schema(model),
                                  .fetches_files = false}} {}

RequestLimits BedrockMessagesFormat::limits(const ChatRequest& request, const Target& target) const noexcept {
  return messages_.limits(request, target);
}

Result<HttpRequest> BedrockMessagesFormat::encode(const ChatRequest& request, const Endpoint& endpoint,
                                                  bool stream) const {
  return messages_.encode(request, endpoint, stream);
}

void BedrockMessagesFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  messages_.decode(body, answer);
}

std::unique_ptr<StreamDecoder> BedrockMessagesFormat::stream_decoder() const {
  return std::make_unique<InvokeStreamDecoder>(messages_.stream_decoder());
}

const HandoverRules& BedrockMessagesFormat::handover_rules(const Target& target) const noexcept {
  return messages_.handover_rules(target);
}

}  // namespace backstop::inline v0::detail
