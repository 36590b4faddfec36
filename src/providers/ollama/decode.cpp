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
  void read(const JsonElement& body, AnswerBuilder& answer) {
    if (holds_failure(body)) return answer.fail(read_failure(body));
    answer.model(text_of(body, "model"));
    if (const auto message = member(body, "message")) {
      if (!as_text(*message).empty()) return answer.fail(read_failure(body));  // words, and no message
      read_message(*message, answer);
    }
    if (const auto count = count_of(body, "prompt_eval_count")) answer.usage().input_tokens = *count;
    if (const auto count = count_of(body, "eval_count")) answer.usage().output_tokens = *count;
    bool done = false;
    const std::optional<JsonElement> flag = member(body, "done");
    done_ = flag && flag->get(done) == simdjson::SUCCESS && done;
    // Servers that imitate this one leave it out of a whole answer.
    const bool may_be_all = !flag && is_first_ && member(body, "message");
    is_first_ = false;
    if (!done_ && !may_be_all) return;
    answer.finish_word(WrittenText{member(body, "done_reason")}.view());
    answer.complete();
  }
  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  void read_message(const JsonElement& message, AnswerBuilder& answer) {
    if (!message.is_object()) return answer.unreadable("a message");
    const WrittenText thoughts{member(message, "thinking")};
    const WrittenText text{member(message, "content")};
    if (!thoughts.readable() || !text.readable()) return answer.unreadable("a text");
    answer.reasoning(thoughts.view());
    answer.text(text.view());
    const std::optional<JsonElement> list = member(message, "tool_calls");
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
