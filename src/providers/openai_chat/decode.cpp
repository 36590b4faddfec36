#include <array>
#include <string>
#include <string_view>

#include "format.hpp"
#include "providers/failure/read_failure.hpp"
#include "usage.hpp"

namespace backstop::inline v0::detail {
namespace {

struct Reason {
  std::string_view wire;
  FinishReason ours;
};

// What is not here is `other`.
constexpr std::array reasons{
    Reason{"stop", FinishReason::stop},
    Reason{"length", FinishReason::length},
    Reason{"tool_calls", FinishReason::tool_calls},
    Reason{"content_filter", FinishReason::content_filter},
    Reason{"function_call", FinishReason::tool_calls},
    Reason{"model_length", FinishReason::length},      // Mistral
    Reason{"eos", FinishReason::stop},                 // Together
    Reason{"guardrail_intervened", FinishReason::content_filter},  // Bedrock
};

FinishReason finish_reason_of(std::string_view wire) noexcept {
  for (const Reason& row : reasons) {
    if (row.wire == wire) return row.ours;
  }
  return FinishReason::other;
}

// DeepSeek's and the gateways' words for "the answer did not come about".
bool means_failure(std::string_view wire) noexcept { return wire == "error" || wire == "insufficient_system_resource"; }

void read_finish_reason(const JsonElement& value, AnswerBuilder& answer) {
  const std::string_view wire = as_text(value);
  if (wire.empty()) return;
  if (means_failure(wire)) {
    ProviderFailure failure;
    failure.kind = ErrorKind::malformed_response;
    failure.finding = "the provider ended the answer with the finish reason \"" + std::string{wire} + "\"";
    failure.code = wire;
    answer.fail(std::move(failure));
    return;
  }
  answer.finish_reason(finish_reason_of(wire));
  answer.complete();
}

// Mistral's `[{"type": "text", "text": ...}, {"type": "thinking", "thinking": [{"type": "text", ...}]}]`.
void read_content_parts(const JsonArray& parts, AnswerBuilder& answer) {
  for (const JsonElement part : parts) {
    const std::string_view type = text_of(part, "type");
    if (type == "text" || type == "output_text") answer.text(text_of(part, "text"));
    if (type == "refusal") answer.refusal(text_of(part, "refusal"));
    if (type != "thinking") continue;
    const std::optional<JsonElement> thinking = member(part, "thinking");
    if (!thinking) continue;
    if (thinking->is_string()) answer.reasoning(as_text(*thinking));
    JsonArray pieces;
    if (thinking->get(pieces) != simdjson::SUCCESS) continue;
    for (const JsonElement piece : pieces) answer.reasoning(text_of(piece, "text"));
  }
}

void read_content(const JsonElement& content, AnswerBuilder& answer) {
  if (content.is_string()) {
    answer.text(as_text(content));
    return;
  }
  JsonArray parts;
  if (content.get(parts) == simdjson::SUCCESS) read_content_parts(parts, answer);
}

// OpenRouter: text comes in `reasoning` as well, signatures and encrypted reasoning here only.
void read_reasoning_details(const JsonElement& details, bool text_too, AnswerBuilder& answer) {
  JsonArray list;
  if (details.get(list) != simdjson::SUCCESS) return;
  for (const JsonElement entry : list) {
    if (text_too) {
      answer.reasoning(text_of(entry, "text"));
      answer.reasoning(text_of(entry, "summary"));
    }
    answer.reasoning_signature(text_of(entry, "signature"));
    answer.redacted_reasoning(text_of(entry, "data"));
  }
}

/// Numbers tool calls where the wire does not: Mistral sends none with whole calls, and continues one by a piece
/// without id and name.
class CallNumbers {
 public:
  std::int64_t of(const JsonElement& call, std::string_view id, std::string_view name) {
    if (const std::optional<std::int64_t> index = count_of(call, "index")) return *index;
    const bool another = id.empty() ? !name.empty() : id != last_id_;
    if (another || last_ < 0) ++last_;
    if (!id.empty()) last_id_ = id;
    return last_;
  }

 private:
  std::int64_t last_ = -1;
  std::string last_id_;
};

// A string of JSON; Ollama and some others send the object itself.
void read_call(std::int64_t index, std::string_view id, const JsonElement& function, AnswerBuilder& answer) {
  const std::string_view name = text_of(function, "name");
  const std::optional<JsonElement> arguments = member(function, "arguments");
  if (!arguments || arguments->is_string()) {
    answer.tool_call(index, id, name, arguments ? as_text(*arguments) : std::string_view{});
  } else {
    answer.tool_call(index, id, name, simdjson::minify(*arguments));
  }
}

void read_calls(const JsonElement& calls, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonArray list;
  if (calls.get(list) != simdjson::SUCCESS) return;
  for (const JsonElement call : list) {
    const std::optional<JsonElement> function = member(call, "function");
    if (!function) continue;
    const std::string_view id = text_of(call, "id");
    read_call(numbers.of(call, id, text_of(*function, "name")), id, *function, answer);
  }
}

/// A message or the piece of one, in the order in which a model writes: reasoning, text, calls.
void read_message(const JsonElement& message, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (message.get(object) != simdjson::SUCCESS) return;
  std::string_view reasoning;
  std::optional<JsonElement> details;
  std::optional<JsonElement> content;
  std::string_view refusal;
  std::optional<JsonElement> calls;
  std::optional<JsonElement> function;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (is_key(key, "content")) {
      content = field.value;
    } else if (is_key(key, "reasoning_content") || is_key(key, "reasoning")) {
      if (reasoning.empty()) reasoning = as_text(field.value);
    } else if (is_key(key, "reasoning_details")) {
      details = field.value;
    } else if (is_key(key, "refusal")) {
      refusal = as_text(field.value);
    } else if (is_key(key, "tool_calls")) {
      calls = field.value;
    } else if (is_key(key, "function_call")) {
      function = field.value;
    }
  }
  answer.reasoning(reasoning);
  if (details) read_reasoning_details(*details, reasoning.empty(), answer);
  if (content) read_content(*content, answer);
  answer.refusal(refusal);
  if (calls) read_calls(*calls, numbers, answer);
  // Deprecated, one call without an id; Snowflake sends it empty beside everything else.
  if (function && !text_of(*function, "name").empty()) read_call(-1, {}, *function, answer);
}

/// What a document is: an answer, or a piece of one in a stream.
enum class Form : std::uint8_t { whole, chunk };

void read_choice(const JsonElement& choice, Form form, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (choice.get(object) != simdjson::SUCCESS) return;
  std::optional<JsonElement> delta;
  std::optional<JsonElement> message;
  std::optional<JsonElement> reason;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (is_key(key, "delta")) {
      delta = field.value;
    } else if (is_key(key, "message")) {
      message = field.value;
    } else if (is_key(key, "finish_reason")) {
      reason = field.value;
    } else if (is_key(key, "index") && as_count(field.value).value_or(0) != 0) {
      return;
    }
  }
  // Perplexity sends both always: the message so far beside each delta, an empty delta beside the whole message.
  const std::optional<JsonElement>& first = form == Form::chunk ? delta : message;
  const std::optional<JsonElement>& second = form == Form::chunk ? message : delta;
  if (first || second) read_message(first ? *first : *second, numbers, answer);
  if (reason) read_finish_reason(*reason, answer);
}

void read_document(const JsonElement& document, Form form, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (document.get(object) != simdjson::SUCCESS) {
    if (holds_failure(document)) answer.fail(read_failure(document));
    return;
  }
  FailureSigns signs;
  JsonArray choices;
  bool has_choices = false;
  for (const auto field : object) {
    const std::string_view key = field.key;
    signs.note(key, field.value);
    switch (key.size()) {
      case 2:
        if (is_key(key, "id")) answer.id(as_text(field.value));
        break;
      case 5:
        if (is_key(key, "model")) {
          answer.model(as_text(field.value));
        } else if (is_key(key, "usage")) {
          read_openai_usage(field.value, answer.usage());
        }
        break;
      case 6:
        if (is_key(key, "x_groq")) {
          if (const auto usage = member(field.value, "usage")) read_openai_usage(*usage, answer.usage());
        }
        break;
      case 7:
        if (is_key(key, "choices")) has_choices = field.value.get(choices) == simdjson::SUCCESS;
        break;
      default: break;
    }
  }
  if (signs.failure()) {
    answer.fail(read_failure(document));
  } else if (has_choices) {
    for (const JsonElement choice : choices) read_choice(choice, form, numbers, answer);
  }
}

class ChunkDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view, const JsonElement& data, AnswerBuilder& answer) override {
    read_document(data, Form::chunk, numbers_, answer);
    return Next::more;
  }
  Next on_done(AnswerBuilder& answer) override {
    answer.complete();
    return Next::end;
  }

 private:
  CallNumbers numbers_;
};

}  // namespace

void OpenAiChat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  CallNumbers numbers;
  read_document(body, Form::whole, numbers, answer);
}

std::unique_ptr<StreamDecoder> OpenAiChat::stream_decoder() const { return std::make_unique<ChunkDecoder>(); }

}  // namespace backstop::inline v0::detail
