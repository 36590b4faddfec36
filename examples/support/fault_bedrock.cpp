#include <cstdint>
#include <utility>

#include "fault_pieces.hpp"
#include "fault_wires.hpp"

// Amazon Bedrock: streams are binary messages with checksums. Converse has events of its own; InvokeModel wraps those
// of the model's maker, here Anthropic's.

namespace backstop::faults {
namespace {

using Role = StreamPart::Role;

std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes += static_cast<char>((number >> shift) & 255U);
  return bytes;
}

/// CRC-32 as in ISO 3309.
std::uint32_t checksum(std::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

std::string header(std::string_view name, std::string_view value) {
  std::string bytes(1, static_cast<char>(name.size()));
  bytes.append(name).append(1, '\x07');  // the type: a string
  bytes += static_cast<char>(value.size() >> 8U);
  bytes += static_cast<char>(value.size() & 255U);
  return bytes.append(value);
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8U) | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      text += at + i > bytes.size() ? '=' : digits[(group >> (18U - 6U * i)) & 63U];
    }
  }
  return text;
}

Json converse_usage(const Answer& answer) {
  const auto output = output_tokens(answer);
  return {{"inputTokens", answer.usage.input - answer.usage.cached},
          {"outputTokens", output},
          {"totalTokens", answer.usage.input + output},
          {"cacheReadInputTokens", answer.usage.cached}};
}

class ConverseStream {
 public:
  explicit ConverseStream(const Answer& answer) : answer_{answer} {}

  std::vector<StreamPart> parts() {
    add("messageStart", {{"role", "assistant"}}, Role::frame);
    if (!answer_.reasoning.empty()) add_reasoning();
    if (!answer_.text.empty()) add_text();
    for (const auto& call : answer_.calls) add_call(call);
    add("messageStop", {{"stopReason", finish_of(answer_, "end_turn", "tool_use")}}, Role::closing);
    add("metadata", {{"usage", converse_usage(answer_)}, {"metrics", {{"latencyMs", 1}}}}, Role::closing);
    return std::move(parts_);
  }

 private:
  void add_reasoning() {
    for (auto& piece : pieces_of(answer_.reasoning, answer_.tokens_per_event)) {
      delta({{"reasoningContent", {{"text", std::move(piece)}}}}, Role::content);
    }
    delta({{"reasoningContent", {{"signature", "fault-signature"}}}}, Role::frame);
    close();
  }
  void add_text() {
    for (auto& piece : pieces_of(answer_.text, answer_.tokens_per_event)) {
      delta({{"text", std::move(piece)}}, Role::content);
    }
    close();
  }
  void add_call(const Answer::Call& call) {
    add("contentBlockStart",
        {{"contentBlockIndex", index_}, {"start", {{"toolUse", {{"toolUseId", call.id}, {"name", call.name}}}}}},
        Role::frame);
    for (const auto& half : halves_of(call.arguments)) delta({{"toolUse", {{"input", half}}}}, Role::content);
    close();
  }

  void delta(Json delta, Role role) {
    add("contentBlockDelta", {{"contentBlockIndex", index_}, {"delta", std::move(delta)}}, role);
  }
  void close() { add("contentBlockStop", {{"contentBlockIndex", index_++}}, Role::frame); }
  void add(std::string_view name, const Json& event, Role role) {
    parts_.push_back({bedrock_message("event", name, event.dump()), role});
  }

  const Answer& answer_;
  std::size_t index_ = 0;
  std::vector<StreamPart> parts_;
};

}  // namespace

std::string bedrock_message(std::string_view kind, std::string_view name, std::string_view payload) {
  const std::string headers = header(kind == "event" ? ":event-type" : ":exception-type", name) +
                              header(":content-type", "application/json") + header(":message-type", kind);
  std::string bytes = big_endian(static_cast<std::uint32_t>(headers.size() + payload.size() + 16)) +
                      big_endian(static_cast<std::uint32_t>(headers.size()));
  bytes += big_endian(checksum(bytes));
  bytes.append(headers).append(payload);
  return bytes + big_endian(checksum(bytes));
}

std::string invoke_message(std::string_view event) {
  return bedrock_message("event", "chunk", Json{{"bytes", base64(event)}}.dump());
}

std::string bedrock_plain(const Answer& answer) {
  Json content = Json::array();
  if (!answer.reasoning.empty()) {
    content.push_back(
        {{"reasoningContent", {{"reasoningText", {{"text", answer.reasoning}, {"signature", "fault-signature"}}}}}});
  }
  if (!answer.text.empty()) content.push_back({{"text", answer.text}});
  for (const auto& call : answer.calls) {
    content.push_back(
        {{"toolUse", {{"toolUseId", call.id}, {"name", call.name}, {"input", arguments_json(call)}}}});
  }
  return Json{{"output", {{"message", {{"role", "assistant"}, {"content", std::move(content)}}}}},
              {"stopReason", finish_of(answer, "end_turn", "tool_use")},
              {"usage", converse_usage(answer)},
              {"metrics", {{"latencyMs", 1}}}}
      .dump();
}

std::vector<StreamPart> bedrock_stream(const Answer& answer) { return ConverseStream{answer}.parts(); }

std::vector<StreamPart> invoke_stream(std::vector<StreamPart> messages) {
  for (StreamPart& part : messages) {
    constexpr std::string_view data = "data: ";
    const std::size_t at = part.bytes.find(data) + data.size();
    part.bytes = invoke_message(std::string_view{part.bytes}.substr(at, part.bytes.find('\n', at) - at));
  }
  return messages;
}

}  // namespace backstop::faults
