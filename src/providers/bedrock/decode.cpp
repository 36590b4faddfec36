#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "models.hpp"
#include "providers/failure/read_failure.hpp"

namespace backstop::inline v0::detail {
namespace {

/// A text that is a message where an answer has an object.
/// What a document is instead of an event; each field is looked at once.
enum class Whole : std::uint8_t { none, failure, answer };
[[nodiscard]] Whole whole_in(const JsonElement& data) noexcept {
  JsonObject object;
  if (data.get(object) != simdjson::SUCCESS) return holds_failure(data) ? Whole::failure : Whole::none;
  FailureSigns signs;
  bool has_words = false;
  bool has_output = false;
  for (const auto field : object) {
    signs.note(field.key, field.value);
    has_output = has_output || (is_key(field.key, "output") && !field.value.is_null());
    const bool is_message = is_key(field.key, "message") || is_key(field.key, "Message");
    has_words = has_words || (is_message && !as_text(field.value).empty());
  }
  if (signs.failure() || has_words) return Whole::failure;
  return has_output ? Whole::answer : Whole::none;
}

/// `inputTokens` excludes what the cache served and took.
void read_converse_usage(const JsonElement& usage, Usage& out) {
  const auto take = [&usage](std::optional<std::int64_t>& field, std::string_view key) {
    if (const auto count = count_of(usage, key)) field = *count;
  };
  take(out.cached_input_tokens, "cacheReadInputTokens");
  take(out.cache_write_tokens, "cacheWriteInputTokens");
  take(out.output_tokens, "outputTokens");
  if (const auto input = count_of(usage, "inputTokens")) {
    out.input_tokens = *input + out.cached_input_tokens.value_or(0) + out.cache_write_tokens.value_or(0);
  }
}

using TakeText = void (AnswerBuilder::*)(std::string_view);

/// A string, or another scalar as it is written; anything else would leave a gap.
void read_scalar(const std::optional<JsonElement>& value, TakeText take, AnswerBuilder& answer) {
  if (!value) return;
  const WrittenText text{*value};
  if (!text.readable()) return answer.unreadable("a text");
  (answer.*take)(text.view());
}

/// Reasoning as it stands whole (`reasoningText`), or a piece of it.
void read_reasoning(const JsonElement& content, AnswerBuilder& answer) {
  if (!content.is_object()) return answer.unreadable("reasoning");
  const JsonElement written = member(content, "reasoningText").value_or(content);
  read_scalar(member(written, "text"), &AnswerBuilder::reasoning, answer);
  answer.reasoning_signature(text_of(written, "signature"));
  answer.redacted_reasoning(text_of(content, "redactedContent"));
}

/// A call that the provider runs itself is none of the application's.
[[nodiscard]] bool is_run_by_provider(const JsonElement& call) noexcept {
  return text_of(call, "type") == "server_tool_use";
}

void read_converse_call(std::int64_t number, const JsonElement& call, AnswerBuilder& answer) {
  if (!call.is_object()) return answer.unreadable("a tool call");
  if (is_run_by_provider(call)) return;
  answer.tool_call(number, WrittenText{member(call, "toolUseId")}.view(), WrittenText{member(call, "name")}.view(),
                   begun_input(member(call, "input")));
  answer.end_tool_call(number);
}

/// Text with its sources, which are not listed.
void read_cited(const JsonElement& cited, AnswerBuilder& answer) {
  const std::optional<JsonElement> content = member(cited, "content");
  JsonArray pieces;
  if (content && content->get(pieces) == simdjson::SUCCESS) {
    for (const JsonElement piece : pieces) read_scalar(member(piece, "text"), &AnswerBuilder::text, answer);
  } else if (content) {
    answer.unreadable("a cited text");
  }
}

/// A block of the content. Sorts that are no text, reasoning or call, and those that may be invented, are passed over.
void read_converse_block(std::int64_t number, const JsonElement& block, AnswerBuilder& answer) {
  if (!block.is_object()) {
    const WrittenText text{block};
    if (!text.readable()) return answer.unreadable("a content block");
    return answer.text(text.view());
  }
  answer.end_part();
  read_scalar(member(block, "text"), &AnswerBuilder::text, answer);
  if (const auto reasoning = member(block, "reasoningContent")) read_reasoning(*reasoning, answer);
  if (const auto call = member(block, "toolUse")) read_converse_call(number, *call, answer);
  if (const auto cited = member(block, "citationsContent")) read_cited(*cited, answer);
}

void read_converse_message(const JsonElement& message, AnswerBuilder& answer) {
  const std::optional<JsonElement> content = member(message, "content");
  if (!content) return;
  JsonArray blocks;
  if (content->get(blocks) != simdjson::SUCCESS) return read_converse_block(0, *content, answer);
  std::int64_t number = 0;
  for (const JsonElement block : blocks) read_converse_block(number++, block, answer);
}

void read_converse_answer(const JsonElement& body, AnswerBuilder& answer) {
  if (const auto output = member(body, "output")) {
    if (const auto message = member(*output, "message")) read_converse_message(*message, answer);
  }
  if (const auto usage = member(body, "usage")) read_converse_usage(*usage, answer.usage());
  answer.finish_word(text_of(body, "stopReason"));
  answer.complete();
}

/// Of an event without a name, as gateways write it: what it holds, or the one field around that.
[[nodiscard]] std::string_view event_by_fields(const JsonElement& data) noexcept {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> fields{
      {{"delta", "contentBlockDelta"},
       {"start", "contentBlockStart"},
       {"stopReason", "messageStop"},
       {"usage", "metadata"},
       {"contentBlockIndex", "contentBlockStop"}}};
  for (const auto& [field, name] : fields) {
    if (member(data, field)) return name;
  }
  return {};
}

constexpr std::array<std::string_view, 6> converse_events{"messageStart",     "contentBlockStart", "contentBlockDelta",
                                                          "contentBlockStop", "messageStop",       "metadata"};

class ConverseStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    switch (whole_in(data)) {
      case Whole::failure: answer.fail(read_failure(data)); return Next::end;
      case Whole::answer: read_converse_answer(data, answer); return Next::end;
      case Whole::none: break;
    }
    if (name.empty() || name == "chunk") {
      for (const std::string_view event : converse_events) {
        if (const auto inner = member(data, event)) return on_event(event, *inner, answer);
      }
      name = event_by_fields(data);
    }
    if (name == "contentBlockDelta") {
      on_delta(data, answer);
    } else if (name == "contentBlockStart") {
      on_start(data, answer);
    } else if (name == "contentBlockStop") {
      on_stop(data, answer);
    } else if (name == "messageStop") {
      answer.finish_word(text_of(data, "stopReason"));
      answer.complete();
      stopped_ = true;
      if (counted_) return Next::end;
    } else if (name == "metadata") {
      if (const auto usage = member(data, "usage")) read_converse_usage(*usage, answer.usage());
      counted_ = true;
      if (stopped_) return Next::end;
    }
    return Next::more;  // and events yet to be invented
  }

  Next on_done(AnswerBuilder& answer) override {
    static_cast<void>(answer);
    return stopped_ ? Next::end : Next::more;
  }

 private:
  enum class Call : std::uint8_t { read, ignored };

  /// The block that an event is about: the newest where it does not say.
  std::int64_t enter(const JsonElement& data, AnswerBuilder& answer) {
    const std::int64_t index = count_of(data, "contentBlockIndex").value_or(current_);
    if (index != current_) answer.end_part();
    return current_ = index;
  }

  void on_start(const JsonElement& data, AnswerBuilder& answer) {
    const std::int64_t index = enter(data, answer);
    answer.end_part();
    calls_.erase(index);
    const std::optional<JsonElement> start = member(data, "start");
    if (!start) return;
    if (!start->is_object()) return answer.unreadable("a content block");
    const std::optional<JsonElement> call = member(*start, "toolUse");
    if (!call) return;
    const bool ignored = is_run_by_provider(*call);
    calls_[index] = ignored ? Call::ignored : Call::read;
    if (ignored) return;
    answer.tool_call(index, WrittenText{member(*call, "toolUseId")}.view(), WrittenText{member(*call, "name")}.view(),
                     begun_input(member(*call, "input")));
  }

  void on_delta(const JsonElement& data, AnswerBuilder& answer) {
    const std::int64_t index = enter(data, answer);
    const std::optional<JsonElement> delta = member(data, "delta");
    if (!delta) return;
    if (!delta->is_object()) return answer.unreadable("a delta");
    read_scalar(member(*delta, "text"), &AnswerBuilder::text, answer);
    if (const auto reasoning = member(*delta, "reasoningContent")) read_reasoning(*reasoning, answer);
    const std::optional<JsonElement> piece = member(*delta, "toolUse");
    if (!piece) return;
    const auto call = calls_.find(index);
    if (call == calls_.end()) return answer.unreadable("the input of no tool call");
    if (call->second == Call::read) answer.tool_call(index, {}, {}, text_or_json(member(*piece, "input")));
  }

  void on_stop(const JsonElement& data, AnswerBuilder& answer) {
    const std::int64_t index = enter(data, answer);
    const auto call = calls_.find(index);
    if (call != calls_.end() && call->second == Call::read) answer.end_tool_call(index);
    calls_.erase(index);
    answer.end_part();
  }

  std::int64_t current_ = 0;
  std::map<std::int64_t, Call> calls_;  // that have begun, by the wire's number
  bool stopped_ = false;
  bool counted_ = false;
};

}  // namespace

void BedrockFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  if (!member(body, "output") && whole_in(body) == Whole::failure) {
    answer.fail(read_failure(body));
  } else {
    read_converse_answer(body, answer);
  }
}

std::unique_ptr<StreamDecoder> BedrockFormat::stream_decoder() const {
  return std::make_unique<ConverseStreamDecoder>();
}

const HandoverRules& BedrockFormat::handover_rules(const Target& target) const noexcept {
  switch (bedrock_maker(target.model())) {
    case BedrockMaker::anthropic:
      return v0::handover_rules("bedrock_anthropic");
    case BedrockMaker::mistral:
      return v0::handover_rules("bedrock_mistral");
    case BedrockMaker::amazon_nova:
    case BedrockMaker::amazon_nova_2:
    case BedrockMaker::openai:
    case BedrockMaker::other:
      break;
  }
  return v0::handover_rules("bedrock");
}

}  // namespace backstop::inline v0::detail
