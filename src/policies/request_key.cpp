#include "policies/request_key.hpp"

#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Writes values one after the other, each with its length, so that no two sequences of values have the same text.
/// The fields are named one by one where they are taken apart: a new one does not compile until it is in the key.
class KeyWriter {
 public:
  explicit KeyWriter(std::string& out) noexcept : out_{&out} {}

  void add(std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    out_->append(text);
  }
  template <class Number>
    requires std::integral<Number> || std::floating_point<Number>
  void add(Number number) {
    std::array<char, 32> digits{};
    if constexpr (std::same_as<Number, bool>) {
      digits[0] = number ? 't' : 'f';
      out_->append(digits.data(), 1);
    } else {
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
      out_->append(digits.data(), end);
    }
    out_->push_back(':');
  }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void add(Enum value) {
    add(static_cast<std::int64_t>(value));
  }
  template <class T>
  void add(const std::optional<T>& value) {
    add(value.has_value());
    if (value) add(*value);
  }
  template <class T>
  void add(const std::vector<T>& values) {
    add(static_cast<std::int64_t>(values.size()));
    for (const T& value : values) add(value);
  }
  void add(const Part& part) {
    add(static_cast<std::int64_t>(part.index()));
    std::visit([this](const auto& one) { add(one); }, part);
  }

  void add(const ToolFile& file) {
    add(static_cast<std::int64_t>(file.index()));
    std::visit([this](const auto& one) { add(one); }, file);
  }

  void add(const Text& part) {
    const auto& [text, mark] = part;
    ignore(mark);
    add_all(text);
  }
  void add(const Image& part) {
    const auto& [url, data, media_type, detail, mark] = part;
    ignore(mark);
    add_all(url, data, media_type, detail);
  }
  void add(const Document& part) {
    const auto& [url, data, media_type, name, mark] = part;
    ignore(mark);
    add_all(url, data, media_type, name);
  }
  void add(const Audio& part) {
    const auto& [data, media_type, mark] = part;
    ignore(mark);
    add_all(data, media_type);
  }
  void add(const Reasoning& part) {
    const auto& [text, signature, redacted, origin] = part;
    add_all(text, signature, redacted, origin.name());
  }
  void add(const ToolCall& part) {
    const auto& [id, name, arguments, mark] = part;
    ignore(mark);
    add_all(id, name, arguments);
  }
  void add(const ToolResult& part) {
    const auto& [call_id, text, is_error, mark, files] = part;
    ignore(mark);
    add_all(call_id, text, is_error, files);
  }
  void add(const Message& message) {
    const auto& [role, parts, mark] = message;
    ignore(mark);
    add_all(role, parts);
  }
  void add(const Tool& tool) {
    const auto& [name, description, parameters, strict, mark] = tool;
    ignore(mark);
    add_all(name, description, parameters, strict);
  }
  void add(const ToolChoice& choice) {
    const auto& [mode, name] = choice;
    add_all(mode, name);
  }
  void add(const ResponseFormat& format) {
    const auto& [type, name, schema, description, strict, by_instruction] = format;
    add_all(type, name, schema, description, strict, by_instruction);
  }
  void add(const Header& header) {
    constexpr std::array<std::string_view, 4> carried{"traceparent", "tracestate", "baggage", "x-request-id"};
    for (const std::string_view name : carried) {
      if (equal_ignoring_case(header.first, name)) return;
    }
    add_all(header.first, header.second);
  }

  void add(const Extra& extra) {
    const auto& [to, fields] = extra;
    add_all(to, fields);
  }

  /// What is marked for a provider's prompt cache is answered alike.
  static void ignore(bool mark) noexcept { static_cast<void>(mark); }

  template <class... Values>
  void add_all(const Values&... values) {
    (add(values), ...);
  }

 private:
  std::string* out_;
};

}  // namespace

void append_key(std::string& key, const ChatRequest& request, bool with_user) {
  const auto& [messages, tools, tool_choice, parallel_tool_calls, response_format, max_output_tokens, temperature,
               top_p, top_k, frequency_penalty, presence_penalty, seed, stop, reasoning_effort, service_tier, metadata,
               headers, extra, keep_raw] = request;
  KeyWriter writer{key};
  writer.add_all(messages, tools, tool_choice, parallel_tool_calls, response_format, max_output_tokens, temperature,
                 top_p, top_k, frequency_penalty, presence_penalty, seed, stop, reasoning_effort, service_tier, headers,
                 extra, keep_raw);
  if (with_user) writer.add(std::string_view{metadata.user_id});
}

}  // namespace backstop::inline v0::detail
