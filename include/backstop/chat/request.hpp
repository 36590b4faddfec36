#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// A function of the application that the model may ask for.
struct Tool {
  std::string name{};         ///< letters, digits, `_` and `-`, at most 64: what every provider accepts
  std::string description{};
  std::string parameters{};   ///< a JSON Schema of type object, as text; empty means no parameters
  std::optional<bool> strict{};  ///< the provider must hold the arguments to the schema
  bool cache = false;  ///< see `Message::cache`: up to and with this

  friend bool operator==(const Tool&, const Tool&) = default;
};

/// Whether the model must, may or must not call a tool.
struct ToolChoice {
  enum class Mode : std::uint8_t { automatic, none, required, named };

  Mode mode = Mode::automatic;
  std::string name{};  ///< with `named`

  friend bool operator==(const ToolChoice&, const ToolChoice&) = default;
};

/// The form the answer must have.
struct ResponseFormat {
  enum class Type : std::uint8_t { text, json_object, json_schema };

  Type type = Type::text;
  std::string name{};    ///< with `json_schema`: a name for it, needed by some providers
  std::string schema{};  ///< with `json_schema`: the schema, as text
  std::string description{};
  std::optional<bool> strict{};
  /// The conversation says what form is wanted: the target is not asked to enforce it, and need not be able to. Who
  /// checks answers still sees here what they must be.
  bool by_instruction = false;

  friend bool operator==(const ResponseFormat&, const ResponseFormat&) = default;
};

using Header = std::pair<std::string, std::string>;

/// Who and what a request belongs to; sent with every attempt in the fields that each provider has for it.
struct Metadata {
  std::string user_id{};
  std::string session_id{};
  std::string request_id{};    ///< the application's own
  std::string trace_parent{};  ///< W3C trace context, `traceparent`
  std::vector<std::pair<std::string, std::string>> tags{};

  friend bool operator==(const Metadata&, const Metadata&) = default;
};

/// Fields of one provider's own, for the body of what is sent to it.
struct Extra {
  /// A provider's name, as in `Target` or as `ModelOptions::name` has it; or "wire:" and the name of a wire as policy
  /// files have it, such as "wire:anthropic": for all that speak it.
  std::string to{};
  std::string fields{};  ///< a JSON object as text, at most 64 KiB; its objects are laid into those of the body

  friend bool operator==(const Extra&, const Extra&) = default;
};

/// What the application asks for. The model belongs to the target, not to the request.
///
/// Example: `ChatRequest request{"Why did my pager go off?"}; request.max_output_tokens = 300;`
struct ChatRequest {
  ChatRequest() = default;
  BACKSTOP_EXPORT ChatRequest(std::string prompt);
  BACKSTOP_EXPORT ChatRequest(const char* prompt);
  BACKSTOP_EXPORT ChatRequest(std::string_view prompt);
  BACKSTOP_EXPORT ChatRequest(std::vector<Message> conversation);

  std::vector<Message> messages;
  std::vector<Tool> tools;
  std::optional<ToolChoice> tool_choice;
  std::optional<bool> parallel_tool_calls;
  std::optional<ResponseFormat> response_format;
  std::optional<std::int64_t> max_output_tokens;  ///< reasoning included
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;        ///< of how many tokens the model chooses the next
  std::optional<double> frequency_penalty;  ///< -2 to 2: for tokens by how often they have come
  std::optional<double> presence_penalty;   ///< -2 to 2: for tokens that have come at all
  std::optional<std::int64_t> seed;         ///< the same one makes equal answers likelier, where a target knows it
  std::vector<std::string> stop;
  std::string reasoning_effort;  ///< none, minimal, low, medium, high; empty for the provider's default
  /// What the provider's capacity is paid as: default, flex (cheaper and slower), priority, or a word of the provider's
  /// own. Where it has none of that name it is left out, with a note in the attempt's row. Prices are those of the
  /// default. Empty for the provider's choice.
  std::string service_tier;
  Metadata metadata;
  /// The application's incoming headers. Only those that a target's `forward_headers` names are sent to it.
  std::vector<Header> headers;
  /// No other provider gets them. A field that the body has already is an error of the call (`invalid_request`).
  std::vector<Extra> extra;
  bool keep_raw = false;  ///< the answer keeps what the provider sent: `ChatResponse::raw`

  friend bool operator==(const ChatRequest&, const ChatRequest&) = default;
};

}  // namespace backstop::inline v0
