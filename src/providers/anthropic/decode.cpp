#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format.hpp"
#include "providers/failure/read_failure.hpp"
#include "providers/wire/finish_reasons.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Reads `stop_reason`, which stands in a message or in the delta of `message_delta`. False where there is none that is
/// known.
bool read_stop(const JsonElement& element, AnswerBuilder& answer) {
  const std::string_view name = text_of(element, "stop_reason");
  if (name.empty()) return false;
  const FinishWord* known = find_finish_word(name);
  const bool filtered = known != nullptr && known->reason == FinishReason::content_filter;
  if (filtered && !answer.has_tool_calls() && !answer.has_text()) {
    const std::optional<JsonElement> details = member(element, "stop_details");
    const std::string_view why = details ? text_of(*details, "explanation") : std::string_view{};
    if (!why.empty()) answer.block(why, text_of(*details, "category"));
  }
  answer.finish_word(name);
  return known != nullptr && known->means == FinishWord::Means::reason;
}

/// The wire's counts, which come in pieces: `input_tokens` excludes what the cache served, and what comes last counts.
class UsageReader {
 public:
  void read(const JsonElement& usage, Usage& out) {
    take(input_, usage, "input_tokens");
    take(out.cached_input_tokens, usage, "cache_read_input_tokens");
    take(out.cache_write_tokens, usage, "cache_creation_input_tokens");
    take(out.output_tokens, usage, "output_tokens");
    if (const auto details = member(usage, "output_tokens_details")) {
      take(out.reasoning_tokens, *details, "thinking_tokens");
    }
    if (input_) out.input_tokens = *input_ + out.cached_input_tokens.value_or(0) + out.cache_write_tokens.value_or(0);
  }

 private:
  static void take(std::optional<std::int64_t>& field, const JsonElement& usage, std::string_view key) {
    if (const auto count = count_of(usage, key)) field = *count;
  }

  std::optional<std::int64_t> input_;
};

using Take = void (AnswerBuilder::*)(std::string_view);

/// A string, or another scalar as it is written; anything else would leave a gap.
void read_text(const JsonElement& object, std::string_view key, Take take, AnswerBuilder& answer) {
  const WrittenText text{member(object, key)};
  if (!text.readable()) return answer.unreadable("a text");
  (answer.*take)(text.view());
}

/// What is done with a content block. The calls that the provider runs itself, their results and whatever else there
/// may be in time are passed over.
enum class BlockKind : std::uint8_t { ignored, text, thinking, tool_call };

[[nodiscard]] BlockKind block_kind_of(const JsonElement& block) noexcept {
  const std::string_view type = text_of(block, "type");
  if (type == "text") return BlockKind::text;
  if (type == "thinking" || type == "redacted_thinking") return BlockKind::thinking;
  if (type == "tool_use") return BlockKind::tool_call;
  if (!type.empty()) return BlockKind::ignored;
  if (member(block, "text")) return BlockKind::text;
  if (member(block, "thinking")) return BlockKind::thinking;
  return member(block, "input") ? BlockKind::tool_call : BlockKind::ignored;
}

/// Reads a content block as it stands whole in a message, or as it begins in a stream.
BlockKind read_block(std::int64_t index, const JsonElement& block, AnswerBuilder& answer) {
  const BlockKind kind = block_kind_of(block);
  if (kind != BlockKind::ignored) answer.end_part();
  switch (kind) {
    case BlockKind::text:
      read_text(block, "text", &AnswerBuilder::text, answer);
      break;
    case BlockKind::thinking:
      read_text(block, "thinking", &AnswerBuilder::reasoning, answer);
      answer.reasoning_signature(text_of(block, "signature"));
      answer.redacted_reasoning(text_of(block, "data"));
      break;
    case BlockKind::tool_call:
      answer.tool_call(index, WrittenText{member(block, "id")}.view(), WrittenText{member(block, "name")}.view(), {});
      break;
    case BlockKind::ignored:
      if (text_of(block, "type").empty()) answer.unreadable("a content block");
      break;
  }
  return kind;
}

void read_whole_block(std::int64_t number, const JsonElement& block, AnswerBuilder& answer) {
  if (!block.is_object()) {
    const WrittenText text{block};  // some gateways write plain text here
    if (!text.readable()) return answer.unreadable("a content block");
    answer.text(text.view());
  } else if (read_block(number, block, answer) == BlockKind::tool_call) {
    answer.tool_call(number, {}, {}, begun_input(member(block, "input")));
    answer.end_tool_call(number);
  }
}

/// A message as it stands whole.
void read_message(const JsonElement& body, AnswerBuilder& answer) {
  answer.id(text_of(body, "id"));
  answer.model(text_of(body, "model"));
  const std::optional<JsonElement> content = member(body, "content");
  JsonArray blocks;
  if (content && content->get(blocks) == simdjson::SUCCESS) {
    std::int64_t number = 0;
    for (const JsonElement block : blocks) read_whole_block(number++, block, answer);
  } else if (content) {
    read_whole_block(0, *content, answer);
  }
  if (const auto usage = member(body, "usage")) UsageReader{}.read(*usage, answer.usage());
  read_stop(body, answer);
  answer.complete();
}

/// Of an event that has neither a type nor a name.
std::string_view type_by_fields(const JsonElement& data) noexcept {
  if (member(data, "content_block")) return "content_block_start";
  if (member(data, "message")) return "message_start";
  if (const auto delta = member(data, "delta")) {
    return member(*delta, "stop_reason") ? "message_delta" : "content_block_delta";
  }
  return {};
}

class AnthropicStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    if (holds_failure(data, HasType::always)) {
      answer.fail(read_failure(data));
      return Next::end;
    }
    if (JsonArray list; data.get(list) == simdjson::SUCCESS) {
      Next next = Next::more;
      for (const JsonElement entry : list) {
        if (next == Next::more) next = on_event(name, entry, answer);
      }
      return next;
    }
    std::string_view type = text_of(data, "type");
    if (type.empty()) type = name.empty() ? type_by_fields(data) : name;
    if (type == "content_block_delta") {
      on_delta(data, answer);
    } else if (type == "content_block_start") {
      on_block_start(data, answer);
    } else if (type == "content_block_stop") {
      on_block_stop(data, answer);
    } else if (type == "message_start") {
      on_message_start(data, answer);
    } else if (type == "message_delta") {
      on_message_delta(data, answer);
    } else if (type == "message_stop") {
      end_blocks(answer);
      answer.complete();
      return Next::end;
    } else if (type == "message") {
      read_message(data, answer);
      return Next::end;
    }
    return Next::more;  // pings, and events yet to be invented
  }

  Next on_done(AnswerBuilder& answer) override {
    // A gateway's habit. After a stop reason nothing is missing.
    if (stopped_) {
      end_blocks(answer);
      answer.complete();
    }
    return stopped_ ? Next::end : Next::more;
  }

  void on_end(AnswerBuilder& answer) override {
    end_blocks(answer);
    answer.complete();
  }

 private:
  struct Block {
    std::int64_t index = 0;   ///< the wire's
    std::int64_t number = 0;  ///< of all blocks of the stream
    BlockKind kind = BlockKind::ignored;
    bool ended = false;
    bool has_pieces = false;  ///< of the tool call's input; then what stood at its beginning does not count
    std::string input;        ///< of the tool call, as it stood at its beginning
  };

  void on_message_start(const JsonElement& data, AnswerBuilder& answer) {
    const std::optional<JsonElement> message = member(data, "message");
    if (!message) return;
    answer.id(text_of(*message, "id"));
    answer.model(text_of(*message, "model"));
    if (const auto usage = member(*message, "usage")) usage_.read(*usage, answer.usage());
  }

  void on_block_start(const JsonElement& data, AnswerBuilder& answer) {
    const std::optional<JsonElement> content = member(data, "content_block");
    if (!content) return;
    if (!content->is_object()) return answer.unreadable("a content block");
    Block block;
    block.number = static_cast<std::int64_t>(blocks_.size());
    block.index = count_of(data, "index").value_or(block.number);
    block.kind = read_block(block.number, *content, answer);
    if (block.kind == BlockKind::tool_call) block.input = begun_input(member(*content, "input"));
    newest_[block.index] = blocks_.size();
    blocks_.push_back(std::move(block));
  }

  void on_delta(const JsonElement& data, AnswerBuilder& answer) {
    const std::optional<JsonElement> delta = member(data, "delta");
    if (!delta) return;
    if (!delta->is_object()) return answer.unreadable("a delta");
    Block* block = find(data);
    if (block != nullptr && block->kind == BlockKind::ignored) return;
    const std::string_view type = text_of(*delta, "type");
    const auto is = [&](std::string_view name, std::string_view field) {
      return type == name || (type.empty() && member(*delta, field));
    };
    if (is("text_delta", "text")) {
      read_text(*delta, "text", &AnswerBuilder::text, answer);
    } else if (is("thinking_delta", "thinking")) {
      read_text(*delta, "thinking", &AnswerBuilder::reasoning, answer);
    } else if (is("input_json_delta", "partial_json")) {
      on_input(*delta, block, answer);
    } else if (is("signature_delta", "signature")) {
      answer.reasoning_signature(text_of(*delta, "signature"));
    }
  }

  static void on_input(const JsonElement& delta, Block* block, AnswerBuilder& answer) {
    const std::optional<JsonElement> json = member(delta, "partial_json");
    if (!json) return;
    const std::string piece = text_or_json(json);
    if (piece.empty()) return;
    if (block == nullptr || block->kind != BlockKind::tool_call) return answer.unreadable("the input of no tool call");
    block->has_pieces = true;
    answer.tool_call(block->number, {}, {}, piece);
  }

  void on_block_stop(const JsonElement& data, AnswerBuilder& answer) {
    if (Block* block = find(data)) end(*block, answer);
  }

  void on_message_delta(const JsonElement& data, AnswerBuilder& answer) {
    if (const auto usage = member(data, "usage")) usage_.read(*usage, answer.usage());
    if (const auto delta = member(data, "delta")) stopped_ = read_stop(*delta, answer) || stopped_;
  }

  /// The newest block of that number; the newest of all where the event has none.
  [[nodiscard]] Block* find(const JsonElement& data) noexcept {
    if (blocks_.empty()) return nullptr;
    const std::optional<std::int64_t> index = count_of(data, "index");
    if (!index || blocks_.back().index == *index) return &blocks_.back();
    const auto newest = newest_.find(*index);
    return newest == newest_.end() ? nullptr : &blocks_[newest->second];
  }

  void end(Block& block, AnswerBuilder& answer) {
    if (block.ended) return;
    block.ended = true;
    if (block.kind == BlockKind::tool_call) {
      if (!block.has_pieces) answer.tool_call(block.number, {}, {}, block.input);
      answer.end_tool_call(block.number);
    }
    if (block.kind != BlockKind::ignored) answer.end_part();
  }

  void end_blocks(AnswerBuilder& answer) {
    for (; ended_ < blocks_.size(); ++ended_) end(blocks_[ended_], answer);
  }

  std::vector<Block> blocks_;
  std::map<std::int64_t, std::size_t> newest_;  // of each number: where in `blocks_`
  std::size_t ended_ = 0;                       // blocks before this one have ended
  UsageReader usage_;
  bool stopped_ = false;
};

}  // namespace

void AnthropicFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  if (holds_failure(body)) {
    answer.fail(read_failure(body));
  } else {
    read_message(body, answer);
  }
}

std::unique_ptr<StreamDecoder> AnthropicFormat::stream_decoder() const {
  return std::make_unique<AnthropicStreamDecoder>();
}

const HandoverRules& AnthropicFormat::handover_rules(const Target& target) const noexcept {
  static_cast<void>(target);
  return v0::handover_rules(platform_.rules);
}

}  // namespace backstop::inline v0::detail
