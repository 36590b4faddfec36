#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "format.hpp"
#include "providers/failure/read_failure.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Reads one answer: whole, or as the pieces of a stream, which have the same form.
class OllamaReader {
 public:
  /// Each field is looked at once: every line of every stream goes through here.
  void read(const JsonElement& body, AnswerBuilder& answer) {
    JsonObject object;
    if (body.get(object) != simdjson::SUCCESS) {
      if (holds_failure(body)) answer.fail(read_failure(body));
      return;
    }
    FailureSigns signs;
    std::optional<JsonElement> message;
    std::optional<JsonElement> reason;
    std::optional<JsonElement> flag;
    for (const auto field : object) {
      const std::string_view key = field.key;
      signs.note(key, field.value);
      if (field.value.is_null()) continue;
      if (is_key(key, "message")) {
        message = field.value;
      } else if (is_key(key, "done")) {
        flag = field.value;
      } else if (is_key(key, "model")) {
        answer.model(as_text(field.value));
      } else if (is_key(key, "done_reason")) {
        reason = field.value;
      } else if (is_key(key, "prompt_eval_count")) {
        take(answer.usage().input_tokens, field.value);
      } else if (is_key(key, "eval_count")) {
        take(answer.usage().output_tokens, field.value);
      }
    }
    const bool is_words = message && !as_text(*message).empty();  // where an answer has an object
    if (is_words || signs.failure()) return answer.fail(read_failure(body));
    if (message) read_message(*message, answer);
    bool done = false;
    done_ = flag && flag->get(done) == simdjson::SUCCESS && done;
    // Servers that imitate this one leave it out of a whole answer.
    const bool may_be_all = !flag && is_first_ && message;
    is_first_ = false;
    if (!done_ && !may_be_all) return;
    answer.finish_word(WrittenText{reason}.view());
    answer.complete();
  }
  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  static void take(std::optional<std::int64_t>& count, const JsonElement& value) {
    if (const auto read = as_count(value)) count = *read;
  }

  void read_message(const JsonElement& message, AnswerBuilder& answer) {
    JsonObject object;
    if (message.get(object) != simdjson::SUCCESS) return answer.unreadable("a message");
    std::optional<JsonElement> written;
    std::optional<JsonElement> thought;
    std::optional<JsonElement> list;
    for (const auto field : object) {
      const std::string_view key = field.key;
      if (field.value.is_null()) continue;
      if (is_key(key, "content")) {
        written = field.value;
      } else if (is_key(key, "thinking")) {
        thought = field.value;
      } else if (is_key(key, "tool_calls")) {
        list = field.value;
      }
    }
    const WrittenText thoughts{thought};
    const WrittenText text{written};
    if (!thoughts.readable() || !text.readable()) return answer.unreadable("a text");
    answer.reasoning(thoughts.view());
    answer.text(text.view());
    if (!list) return;
    JsonArray calls;
    if (list->get(calls) != simdjson::SUCCESS) return answer.unreadable("the tool calls");
    for (const JsonElement call : calls) read_call(call, answer);
  }

  /// They come whole. Their own numbers are missing, or the same for all.
  void read_call(const JsonElement& call, AnswerBuilder& answer) {
    const std::optional<JsonElement> function = member(call, "function");
    if (!function || !function->is_object()) return answer.unreadable("a tool call");
    const WrittenText id{member(call, "id")};
    const WrittenText name{member(*function, "name")};
    answer.tool_call(calls_, id.view(), name.view(), text_or_json(member(*function, "arguments")));
    answer.end_tool_call(calls_++);
  }

  std::int64_t calls_ = 0;  // so far
  bool is_first_ = true;    // nothing came before
  bool done_ = false;
};

class OllamaStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    static_cast<void>(name);
    reader_.read(data, answer);
    return reader_.done() || answer.failure() ? Next::end : Next::more;
  }

 private:
  OllamaReader reader_;
};

}  // namespace

void OllamaFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  OllamaReader{}.read(body, answer);
  answer.complete();
}

std::unique_ptr<StreamDecoder> OllamaFormat::stream_decoder() const { return std::make_unique<OllamaStreamDecoder>(); }

const HandoverRules& OllamaFormat::handover_rules(const Target& target) const noexcept {
  static_cast<void>(target);
  return v0::handover_rules("ollama");
}

}  // namespace backstop::inline v0::detail
