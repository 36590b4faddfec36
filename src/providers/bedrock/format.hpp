#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

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

 protected:
  /// The request to an operation of the model: address, key and headers.
  [[nodiscard]] static Result<HttpRequest> request_to(std::string_view operation, std::string body,
                                                      const ChatRequest& request, const Endpoint& endpoint,
                                                      bool stream);

 private:
  std::string region_;
};

/// Anthropic's Messages API over Bedrock's InvokeModel and InvokeModelWithResponseStream.
class BedrockMessagesFormat final : public BedrockFormat {
 public:
  using BedrockFormat::BedrockFormat;

  [[nodiscard]] std::string_view name() const noexcept override { return "bedrock_anthropic"; }
  [[nodiscard]] RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept override;
  [[nodiscard]] Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                           bool stream) const override;
  void decode(const JsonElement& body, AnswerBuilder& answer) const override;
  [[nodiscard]] std::unique_ptr<StreamDecoder> stream_decoder() const override;
  [[nodiscard]] const HandoverRules& handover_rules(const Target& target) const noexcept override;
};

/// The body of a request.
[[nodiscard]] Result<std::string> encode_bedrock_body(const ChatRequest& request, const Target& target);

}  // namespace backstop::inline v0::detail
