#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "providers/anthropic/format.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// Amazon Bedrock's Converse and ConverseStream.
class BedrockFormat : public WireFormat {
 public:
  /// `region`: to sign for; empty where none is known.
  explicit BedrockFormat(std::string region) noexcept : region_{std::move(region)} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "bedrock"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  [[nodiscard]] Result<void> sign(HttpRequest& http, const Endpoint& endpoint, WallTime now) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] bool streams_messages() const noexcept override { return true; }
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;

 private:
  std::string region_;
};

/// Anthropic's Messages API over Bedrock's InvokeModel and InvokeModelWithResponseStream.
class BedrockMessagesFormat final : public BedrockFormat {
 public:
  /// `model`: which Bedrock's own limits depend on.
  BedrockMessagesFormat(std::string region, std::string_view model);

  [[nodiscard]] std::string_view name() const noexcept override { return "bedrock_anthropic"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;

 private:
  AnthropicFormat messages_;
};

/// The media type of AWS's binary messages.
inline constexpr std::string_view event_stream_type = "application/vnd.amazon.eventstream";

/// The body of a request.
[[nodiscard]] Result<std::string> encode_bedrock_body(const ChatRequest& request, const Target& target);

}  // namespace backstop::inline v0::detail
