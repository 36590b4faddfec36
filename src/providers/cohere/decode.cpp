#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "providers/failure/read_failure.hpp"

namespace backstop::inline v0::detail {
namespace {

/// A text that is a message where an answer has an object.
[[nodiscard]] bool is_cohere_failure(const JsonElement& data) noexcept {
  return holds_failure(data) || !text_of(data, "message").empty();
}

/// Calls `read` with every element of a list, or with the one value that stands in its place.
template <class Read>
void for_each_of(const std::optional<JsonElement>& value, Read read) {
  if (!value) return;
  JsonArray list;
  if (value->get(list) != simdjson::SUCCESS) return read(*value);
  for (const JsonElement element : list) read(element);
}

void take_count(std::optional<std::int64_t>& field, const JsonElement& counts, std::string_view key) {
  if (const auto count = count_of(counts, key)) field = *count;
}

/// The tokens that the model read and wrote; what is billed where those are not told.
void read_cohere_usage(const JsonElement& usage, Usage& out) {
  take_count(out.cached_input_tokens, usage, "cached_tokens");
  for (const std::string_view counts : {"billed_units", "tokens"}) {
    const std::optional<JsonElement> object = member(usage, counts);
    if (!object) continue;
    take_count(out.input_tokens, *object, "input_tokens");
    take_count(out.output_tokens, *object, "output_tokens");
    take_count(out.reasoning_tokens, *object, "reasoning_tokens");
  }
}

/// A part of the content, or a piece of one: an object, or a mere text.
void read_cohere_part(const JsonElement& part, AnswerBuilder& answer) {
  JsonObject object;
  if (part.get(object) != simdjson::SUCCESS) {
    const WrittenText text{part};
    if (!text.readable()) return answer.unreadable("a part of an answer");
    return answer.text(text.view());
  }
  bool known = false;  // something else is passed over where it says what it is
  for (const auto field : object) {
    const std::string_view key = field.key;
    const bool thinking = is_key(key, "thinking");
    known = known || thinking || is_key(key, "text") || is_key(key, "type");
    if (!thinking && !is_key(key, "text")) continue;
    const WrittenText text{field.value};
    if (!text.readable()) return answer.unreadable("a text");
    thinking ? answer.reasoning(text.view()) : answer.text(text.view());
  }
  if (!known && object.size() != 0) answer.unreadable("a part of an answer");
}

void read_cohere_call(std::int64_t index, const JsonElement& call, AnswerBuilder& answer) {
  const std::optional<JsonElement> function = member(call, "function");
  if (!call.is_object() || (function && !function->is_object())) return answer.unreadable("a tool call");
  const WrittenText id{member(call, "id")};
  if (!function) {
    if (id.view().empty() && text_of(call, "type").empty()) answer.unreadable("a tool call");
    return answer.tool_call(index, id.view(), {}, {});
  }
  const WrittenText name{member(*function, "name")};
  answer.tool_call(index, id.view(), name.view(), text_or_json(member(*function, "arguments")));
}

/// What a whole message and each piece of one have in common.
void read_cohere_message(const JsonElement& message, std::int64_t first_call, AnswerBuilder& answer) {
  if (!message.is_object()) return answer.unreadable("a message");
  for_each_of(member(message, "content"), [&](const JsonElement& part) { read_cohere_part(part, answer); });
  if (const WrittenText plan{member(message, "tool_plan")}; plan.readable()) {
    answer.reasoning(plan.view());
  } else {
    answer.unreadable("a plan");
  }
  std::int64_t index = first_call;
  for_each_of(member(message, "tool_calls"),
              [&](const JsonElement& call) { read_cohere_call(index++, call, answer); });
}

/// Why and at what cost it ended; an error stands there, too.
void read_cohere_end(const JsonElement& end, AnswerBuilder& answer) {
  if (const auto usage = member(end, "usage")) read_cohere_usage(*usage, answer.usage());
  if (const auto error = member(end, "error"); error && is_failure_value(*error)) answer.fail(read_failure(end));
  if (const WrittenText reason{member(end, "finish_reason")}; !reason.view().empty()) answer.finish_word(reason.view());
  answer.complete();
}

void read_cohere_answer(const JsonElement& body, AnswerBuilder& answer) {
  answer.id(text_of(body, "id"));
  answer.model(text_of(body, "model"));
  if (const auto message = member(body, "message")) read_cohere_message(*message, 0, answer);
  read_cohere_end(body, answer);
}

class CohereStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    if (is_cohere_failure(data)) {
      answer.fail(read_failure(data));
      return Next::end;
    }
    const std::string_view written = text_of(data, "type");
    const std::string_view type = written.empty() ? name : written;
    const std::optional<JsonElement> delta = member(data, "delta");
    if (written.empty() && !delta && member(data, "message")) {
      read_cohere_answer(data, answer);  // one that came whole
      return Next::end;
    }
    if (type == "message-end") {
      read_cohere_end(delta.value_or(data), answer);
      return Next::end;
    }
    const std::int64_t index = count_of(data, "index").value_or(0);
    if (type == "message-start") answer.id(text_of(data, "id"));
    if (type == "content-end") answer.end_part();
    if (type == "tool-call-end") answer.end_tool_call(index);
    const bool is_citation = type.starts_with("citation");
    if (!delta || is_citation) return Next::more;
    if (!delta->is_object()) answer.unreadable("a piece");
    if (const auto message = member(*delta, "message")) read_cohere_message(*message, index, answer);
    return Next::more;  // events yet to be invented are read by what they hold
  }
};

}  // namespace

void CohereFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  if (is_cohere_failure(body)) {
    answer.fail(read_failure(body));
  } else {
    read_cohere_answer(body, answer);
  }
}

std::unique_ptr<StreamDecoder> CohereFormat::stream_decoder() const { return std::make_unique<CohereStreamDecoder>(); }

const HandoverRules& CohereFormat::handover_rules(const Target& target) const noexcept {
  static_cast<void>(target);
  return v0::handover_rules("cohere");
}

}  // namespace backstop::inline v0::detail
