#include <string>
#include <string_view>

#include "format.hpp"
#include "providers/failure/read_failure.hpp"
#include "providers/http/gateway_headers.hpp"
#include "usage.hpp"

namespace backstop::inline v0::detail {
namespace {

using Take = void (AnswerBuilder::*)(std::string_view);

// A string, or another scalar as it is written; anything else would leave a gap.
void read_text(const JsonElement& value, Take take, AnswerBuilder& answer) {
  const WrittenText text{value};
  if (!text.readable()) return answer.unreadable("a text");
  (answer.*take)(text.view());
}

void read_text(const JsonElement& object, std::string_view key, Take take, AnswerBuilder& answer) {
  if (const auto value = member(object, key)) read_text(*value, take, answer);
}

// A truth value says whether there is a refusal, and is none of its words.
void read_refusal(const JsonElement& value, AnswerBuilder& answer) {
  if (!value.is_bool()) read_text(value, &AnswerBuilder::refusal, answer);
}

void read_thinking(const JsonElement& thinking, AnswerBuilder& answer) {
  JsonArray pieces;
  if (thinking.get(pieces) != simdjson::SUCCESS) return read_text(thinking, &AnswerBuilder::reasoning, answer);
  for (const JsonElement piece : pieces) {
    if (piece.is_object()) {
      read_text(piece, "text", &AnswerBuilder::reasoning, answer);
    } else {
      read_text(piece, &AnswerBuilder::reasoning, answer);
    }
  }
}

// Mistral's `{"type": "text", "text": ...}` and `{"type": "thinking", "thinking": [{"type": "text", ...}]}`.
void read_content_part(const JsonElement& part, AnswerBuilder& answer) {
  if (!part.is_object()) return read_text(part, &AnswerBuilder::text, answer);
  const std::string_view type = text_of(part, "type");
  if (type.empty() && !member(part, "text")) {
    answer.unreadable("a part");
  } else if (type.empty() || type == "text" || type == "output_text") {
    read_text(part, "text", &AnswerBuilder::text, answer);
  } else if (type == "refusal") {
    read_text(part, "refusal", &AnswerBuilder::refusal, answer);
  } else if (type == "thinking") {
    if (const auto thinking = member(part, "thinking")) read_thinking(*thinking, answer);
  }
}

void read_content(const JsonElement& content, AnswerBuilder& answer) {
  JsonArray parts;
  if (content.get(parts) != simdjson::SUCCESS) return read_content_part(content, answer);
  for (const JsonElement part : parts) read_content_part(part, answer);
}

// OpenRouter: text comes in `reasoning` as well, signatures and encrypted reasoning here only.
void read_reasoning_details(const JsonElement& details, bool text_too, AnswerBuilder& answer) {
  JsonArray list;
  if (details.get(list) != simdjson::SUCCESS) return;
  for (const JsonElement entry : list) {
    if (text_too) {
      read_text(entry, "text", &AnswerBuilder::reasoning, answer);
      read_text(entry, "summary", &AnswerBuilder::reasoning, answer);
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

// `arguments` is a string of JSON; Ollama and some others send the object itself.
void read_call(std::int64_t index, std::string_view id, std::string_view name, const JsonElement& function,
               AnswerBuilder& answer) {
  const std::optional<JsonElement> arguments = member(function, "arguments");
  if (!arguments || arguments->is_string()) {
    answer.tool_call(index, id, name, arguments ? as_text(*arguments) : std::string_view{});
  } else {
    answer.tool_call(index, id, name, json_of(*arguments));
  }
}

void read_listed_call(const JsonElement& call, CallNumbers& numbers, AnswerBuilder& answer) {
  if (call.is_null()) return;
  const std::optional<JsonElement> inner = member(call, "function");
  if (!call.is_object() || (inner && !inner->is_object())) return answer.unreadable("a tool call");
  const JsonElement& function = inner ? *inner : call;
  const WrittenText id{member(call, "id")};
  const WrittenText name{member(function, "name")};
  if (!inner && name.view().empty()) {
    if (text_of(call, "type").empty()) answer.unreadable("a tool call");
    return;  // of something else than a function
  }
  read_call(numbers.of(call, id.view(), name.view()), id.view(), name.view(), function, answer);
}

void read_calls(const JsonElement& calls, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonArray list;
  if (calls.get(list) == simdjson::SUCCESS) {
    for (const JsonElement call : list) read_listed_call(call, numbers, answer);
  } else if (calls.is_object()) {
    read_listed_call(calls, numbers, answer);
  } else if (!as_text(calls).empty()) {
    answer.unreadable("a tool call");
  }
}

[[nodiscard]] std::optional<int> as_attempts(const std::optional<JsonElement>& list) noexcept {
  constexpr std::size_t most = 1000;
  JsonArray attempts;
  if (!list || list->get(attempts) != simdjson::SUCCESS || attempts.size() > most) return std::nullopt;
  return static_cast<int>(attempts.size());
}

// With the header `X-OpenRouter-Metadata: enabled`.
void read_openrouter_metadata(const JsonElement& metadata, GatewayReport& report) {
  if (const auto attempts = as_attempts(member(metadata, "attempts"))) report.attempts = attempts;
}

// Vercel's AI Gateway: `{"gateway": {"routing": {"finalProvider": ..., "attempts": [...]}, "cost": "0.0012"}}`.
void read_provider_metadata(const JsonElement& metadata, GatewayReport& report) {
  const std::optional<JsonElement> gateway = member(metadata, "gateway");
  if (!gateway) return;
  if (const auto cost = member(*gateway, "cost")) {
    if (const auto dollars = as_dollars(*cost)) report.cost = reported_cost(*dollars);
  }
  const std::optional<JsonElement> routing = member(*gateway, "routing");
  if (!routing) return;
  const std::string_view last = text_of(*routing, "finalProvider");
  if (!last.empty()) report.served_by = last;
  if (const auto attempts = as_attempts(member(*routing, "attempts"))) report.attempts = attempts;
}

/// A message or the piece of one, in the order in which a model writes: reasoning, text, calls.
void read_message(const JsonElement& message, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (message.get(object) != simdjson::SUCCESS) return answer.unreadable("a message");
  std::optional<JsonElement> reasoning;
  std::optional<JsonElement> details;
  std::optional<JsonElement> content;
  std::optional<JsonElement> refusal;
  std::optional<JsonElement> calls;
  std::optional<JsonElement> function;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (field.value.is_null()) continue;
    if (is_key(key, "content")) {
      content = field.value;
    } else if (is_key(key, "reasoning_content") || is_key(key, "reasoning")) {
      if (!reasoning || (reasoning->is_string() && as_text(*reasoning).empty())) reasoning = field.value;
    } else if (is_key(key, "reasoning_details")) {
      details = field.value;
    } else if (is_key(key, "refusal")) {
      refusal = field.value;
    } else if (is_key(key, "tool_calls")) {
      calls = field.value;
    } else if (is_key(key, "function_call")) {
      function = field.value;
    } else if (is_key(key, "provider_metadata")) {
      read_provider_metadata(field.value, answer.gateway());
    }
  }
  const bool has_reasoning = reasoning && !(reasoning->is_string() && as_text(*reasoning).empty());
  if (has_reasoning) read_text(*reasoning, &AnswerBuilder::reasoning, answer);
  if (details) read_reasoning_details(*details, !has_reasoning, answer);
  if (content) read_content(*content, answer);
  if (refusal) read_refusal(*refusal, answer);
  if (calls) read_calls(*calls, numbers, answer);
  // Deprecated, one call without an id; Snowflake sends it empty beside everything else.
  if (function) read_call(-1, {}, WrittenText{member(*function, "name")}.view(), *function, answer);
}

/// What a document is: an answer, or a piece of one in a stream.
enum class Form : std::uint8_t { whole, chunk };

void read_choice(const JsonElement& choice, Form form, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (choice.get(object) != simdjson::SUCCESS) {
    if (!choice.is_null()) answer.unreadable("a choice");
    return;
  }
  std::optional<JsonElement> delta;
  std::optional<JsonElement> message;
  std::optional<JsonElement> text;
  std::optional<JsonElement> reason;
  std::optional<JsonElement> usage;
  std::optional<JsonElement> error;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (field.value.is_null()) continue;
    if (is_key(key, "delta")) {
      delta = field.value;
    } else if (is_key(key, "message")) {
      message = field.value;
    } else if (is_key(key, "text")) {
      text = field.value;
    } else if (is_key(key, "finish_reason")) {
      reason = field.value;
    } else if (is_key(key, "usage")) {
      usage = field.value;
    } else if (is_key(key, "error")) {
      error = field.value;
    } else if (is_key(key, "index") && as_count(field.value).value_or(0) != 0) {
      return;
    }
  }
  // Perplexity sends both always: the message so far beside each delta, an empty delta beside the whole message.
  const std::optional<JsonElement>& first = form == Form::chunk ? delta : message;
  const std::optional<JsonElement>& second = form == Form::chunk ? message : delta;
  if (first || second) {
    read_message(first ? *first : *second, numbers, answer);
  } else if (text) {
    read_text(*text, &AnswerBuilder::text, answer);  // the older completions
  }
  if (usage) read_openai_usage(*usage, answer.usage());  // Moonshot
  // Gateways that have begun to answer can say what went wrong only here.
  if (error && is_failure_value(*error)) answer.fail(read_failure(choice));
  if (reason) answer.finish_word(as_text(*reason));
  // A message is the whole, also where a stream's event holds it; a piece that came alone is not.
  if (message ? form == Form::whole || !delta : form == Form::whole && !delta) answer.complete();
}

void read_choices(const JsonElement& choices, Form form, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonArray list;
  if (choices.get(list) == simdjson::SUCCESS) {
    for (const JsonElement choice : list) read_choice(choice, form, numbers, answer);
  } else {
    answer.unreadable("the list of choices");
  }
}

void read_document(const JsonElement& document, Form form, CallNumbers& numbers, AnswerBuilder& answer) {
  JsonObject object;
  if (document.get(object) != simdjson::SUCCESS) {
    JsonArray list;
    if (document.get(list) == simdjson::SUCCESS) {
      for (const JsonElement entry : list) read_document(entry, form, numbers, answer);
    } else if (!as_text(document).empty()) {
      answer.fail(read_failure(document));
    }
    return;
  }
  FailureSigns signs;
  std::optional<JsonElement> choices;
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
          read_openai_cost(field.value, answer.gateway());
        }
        break;
      case 6:
        if (is_key(key, "x_groq")) {
          if (const auto usage = member(field.value, "usage")) read_openai_usage(*usage, answer.usage());
        }
        break;
      case 7:
        if (is_key(key, "choices") && !field.value.is_null()) choices = field.value;
        break;
      case 8:
        if (is_key(key, "provider")) answer.gateway().served_by = as_text(field.value);  // OpenRouter
        break;
      case 19:
        if (is_key(key, "openrouter_metadata")) read_openrouter_metadata(field.value, answer.gateway());
        break;
      default: break;
    }
  }
  if (signs.failure()) {
    answer.fail(read_failure(document));
  } else if (choices) {
    read_choices(*choices, form, numbers, answer);
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
  if (!answer.has_content()) answer.complete();  // nothing else would come
}

std::unique_ptr<StreamDecoder> OpenAiChat::stream_decoder() const { return std::make_unique<ChunkDecoder>(); }

}  // namespace backstop::inline v0::detail
