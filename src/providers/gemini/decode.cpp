#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "format.hpp"
#include "models.hpp"
#include "providers/failure/read_failure.hpp"
#include "providers/wire/finish_reasons.hpp"

namespace backstop::inline v0::detail {
namespace {

/// The wire's counts: thoughts stand beside the output, and what comes last counts.
class GeminiUsage {
 public:
  void read(const JsonElement& usage, Usage& out) {
    JsonObject counts;
    if (usage.get(counts) != simdjson::SUCCESS) return;
    for (const auto field : counts) {
      const std::string_view key = field.key;
      if (is_key(key, "promptTokenCount")) {
        take(prompt_, field.value);
      } else if (is_key(key, "candidatesTokenCount")) {
        take(written_, field.value);
      } else if (is_key(key, "thoughtsTokenCount")) {
        take(out.reasoning_tokens, field.value);
      } else if (is_key(key, "cachedContentTokenCount")) {
        take(out.cached_input_tokens, field.value);
      } else if (is_key(key, "toolUsePromptTokenCount")) {
        take(tool_use_, field.value);
      }
    }
    if (prompt_) out.input_tokens = *prompt_ + tool_use_.value_or(0);
    if (written_ || out.reasoning_tokens) out.output_tokens = written_.value_or(0) + out.reasoning_tokens.value_or(0);
  }

 private:
  static void take(std::optional<std::int64_t>& field, const JsonElement& value) {
    if (const auto count = as_count(value)) field = *count;
  }

  std::optional<std::int64_t> prompt_;
  std::optional<std::int64_t> tool_use_;
  std::optional<std::int64_t> written_;
};

/// Old servers write the number of the reason, by the API's protocol buffers.
[[nodiscard]] std::string_view finish_name(std::string_view reason) noexcept {
  constexpr std::array<std::string_view, 6> names{"FINISH_REASON_UNSPECIFIED", "STOP", "MAX_TOKENS", "SAFETY",
                                                  "RECITATION", "OTHER"};
  const bool is_number = reason.size() == 1 && reason.front() >= '0' && reason.front() <= '5';
  return is_number ? names[static_cast<std::size_t>(reason.front() - '0')] : reason;
}

[[nodiscard]] bool is_filter(std::string_view reason) noexcept {
  constexpr std::array<std::string_view, 7> words{"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
                                                  "MODEL_ARMOR", "JAILBREAK"};
  return reason.starts_with("IMAGE_") || std::find(words.begin(), words.end(), reason) != words.end();
}

/// Arguments of a call that come in pieces, each with its place: `{"jsonPath": "$.recipe.steps[0]", "stringValue": ...}`.
class PartialArguments {
 public:
  /// False where a piece cannot be read.
  [[nodiscard]] bool add(const JsonElement& piece) {
    nlohmann::ordered_json* place = find(text_of(piece, "jsonPath"));
    if (place == nullptr) return false;
    empty_ = false;
    if (const auto text = member(piece, "stringValue")) {
      if (!text->is_string()) return false;
      if (!place->is_string()) *place = std::string{};
      place->get_ref<std::string&>() += as_text(*text);
    } else if (const auto number = member(piece, "numberValue")) {
      *place = nlohmann::ordered_json::parse(json_of(*number), nullptr, false);
      return !place->is_discarded();
    } else if (const auto flag = member(piece, "boolValue")) {
      bool value = false;
      if (flag->get(value) != simdjson::SUCCESS) return false;
      *place = value;
    }
    return true;  // else null, which it is
  }
  [[nodiscard]] bool empty() const noexcept { return empty_; }
  [[nodiscard]] std::string take() {
    return std::exchange(arguments_, nlohmann::ordered_json::object())
        .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }

 private:
  /// Makes the way there. Lists grow by one; null for what is no such path.
  [[nodiscard]] nlohmann::ordered_json* find(std::string_view path) {
    constexpr int deepest = 100;
    if (!path.starts_with('$') || path.size() == 1) return nullptr;
    path.remove_prefix(1);
    nlohmann::ordered_json* place = &arguments_;
    for (int depth = 0; !path.empty(); ++depth) {
      if (depth == deepest) return nullptr;
      const bool is_key = path.front() == '.' || path.starts_with("['") || path.starts_with("[\"");
      place = is_key ? enter_object(*place, path) : enter_list(*place, path);
      if (place == nullptr) return nullptr;
    }
    return place;
  }
  [[nodiscard]] static nlohmann::ordered_json* enter_object(nlohmann::ordered_json& object, std::string_view& path) {
    if (object.is_null()) object = nlohmann::ordered_json::object();
    std::string_view key;
    if (path.front() == '.') {
      key = path.substr(1, path.find_first_of(".[", 1) - 1);
      path.remove_prefix(1 + key.size());
    } else {
      const char closing[] = {path[1], ']', '\0'};
      const std::size_t end = path.find(closing, 2);
      if (end == std::string_view::npos) return nullptr;
      key = path.substr(2, end - 2);
      path.remove_prefix(end + 2);
    }
    return object.is_object() && !key.empty() ? &object[std::string{key}] : nullptr;
  }
  [[nodiscard]] static nlohmann::ordered_json* enter_list(nlohmann::ordered_json& list, std::string_view& path) {
    if (list.is_null()) list = nlohmann::ordered_json::array();
    std::size_t index = 0;
    const char* const end = path.data() + path.size();
    const auto [read, problem] = std::from_chars(path.data() + 1, end, index);
    if (path.front() != '[' || problem != std::errc{} || read == end || *read != ']') return nullptr;
    path.remove_prefix(static_cast<std::size_t>(read - path.data()) + 1);
    if (!list.is_array() || index > list.size()) return nullptr;
    if (index == list.size()) list.push_back(nullptr);
    return &list[index];
  }

  nlohmann::ordered_json arguments_ = nlohmann::ordered_json::object();
  bool empty_ = true;
};

/// Reads one answer: whole, or as the pieces of a stream, which have the same form.
class GeminiReader {
 public:
  /// A document; or a list of them, which a stream is without `alt=sse`. Each field is looked at once: every event of
  /// every stream goes through here.
  void read(const JsonElement& body, AnswerBuilder& answer) {
    JsonObject object;
    if (body.get(object) != simdjson::SUCCESS) {
      JsonArray list;
      if (body.get(list) != simdjson::SUCCESS) return;
      for (const JsonElement entry : list) read(entry, answer);
      return;
    }
    FailureSigns signs;
    std::optional<JsonElement> candidates;
    std::optional<JsonElement> feedback;
    for (const auto field : object) {
      const std::string_view key = field.key;
      signs.note(key, field.value);
      if (is_key(key, "candidates")) {
        if (!field.value.is_null()) candidates = field.value;
      } else if (is_key(key, "usageMetadata")) {
        usage_.read(field.value, answer.usage());
      } else if (is_key(key, "responseId")) {
        answer.id(as_text(field.value));
      } else if (is_key(key, "modelVersion")) {
        answer.model(as_text(field.value));
      } else if (is_key(key, "promptFeedback")) {
        feedback = field.value;
      }
    }
    if (signs.failure()) return answer.fail(read_failure(body));
    JsonArray list;
    if (candidates && candidates->get(list) != simdjson::SUCCESS) return answer.unreadable("the list of candidates");
    const bool any = candidates && list.begin() != list.end();
    if (any) {
      for (const JsonElement candidate : list) read_candidate(candidate, answer);
    } else if (feedback) {
      const std::string_view reason = text_of(*feedback, "blockReason");
      if (!reason.empty()) answer.block(text_of(*feedback, "blockReasonMessage"), reason);
    }
  }

 private:
  void read_candidate(const JsonElement& candidate, AnswerBuilder& answer) {
    JsonObject object;
    if (candidate.get(object) != simdjson::SUCCESS) return answer.unreadable("a candidate");
    std::optional<JsonElement> content;
    std::optional<JsonElement> reason;
    for (const auto field : object) {
      const std::string_view key = field.key;
      if (field.value.is_null()) continue;
      if (is_key(key, "content")) {
        content = field.value;
      } else if (is_key(key, "finishReason")) {
        reason = field.value;
      } else if (is_key(key, "index") && as_count(field.value).value_or(0) != 0) {
        return;  // another answer, which was not asked for
      }
    }
    if (content) read_content(*content, answer);
    if (reason) read_reason(WrittenText{*reason}.view(), candidate, answer);
  }

  void read_reason(std::string_view written, const JsonElement& candidate, AnswerBuilder& answer) {
    const std::string_view reason = finish_name(written);
    const FinishWord* known = find_finish_word(reason);
    if (known != nullptr && known->means == FinishWord::Means::nothing) return;
    end_call(answer);
    if (!is_filter(reason)) {
      answer.finish_word(reason);
    } else if (answer.has_text() || answer.has_tool_calls()) {
      answer.finish_reason(FinishReason::content_filter);
    } else {
      return answer.block(text_of(candidate, "finishMessage"), reason);
    }
    answer.complete();
  }

  void read_content(const JsonElement& content, AnswerBuilder& answer) {
    if (!content.is_object()) return answer.unreadable("the content of an answer");
    const std::optional<JsonElement> list = member(content, "parts");
    if (!list) return;
    JsonArray parts;
    if (list->get(parts) != simdjson::SUCCESS) return answer.unreadable("the parts of an answer");
    for (const JsonElement part : parts) read_part(part, answer);
  }

  /// What else there is than texts and calls the provider does itself: code, searches.
  void read_part(const JsonElement& part, AnswerBuilder& answer) {
    JsonObject object;
    if (part.get(object) != simdjson::SUCCESS) return answer.unreadable("a part of an answer");
    std::optional<JsonElement> written;
    std::optional<JsonElement> call;
    std::string_view signature;
    bool thought = false;
    for (const auto field : object) {
      const std::string_view key = field.key;
      if (field.value.is_null()) continue;
      if (is_key(key, "text")) {
        written = field.value;
      } else if (is_key(key, "thought")) {
        if (field.value.get(thought) != simdjson::SUCCESS) thought = false;
      } else if (is_key(key, "functionCall")) {
        call = field.value;
      } else if (is_key(key, "thoughtSignature")) {
        signature = as_text(field.value);
      }
    }
    if (written) {
      const WrittenText text{*written};
      if (!text.readable()) return answer.unreadable("a text");
      thought ? answer.reasoning(text.view()) : answer.text(text.view());
    }
    read_signature(signature, answer);
    if (call) read_call(*call, answer);
  }

  /// A block of its own: it belongs to what stands beside it, not to the thoughts before.
  static void read_signature(std::string_view signature, AnswerBuilder& answer) {
    if (signature.empty()) return;
    answer.end_part();
    answer.reasoning_signature(signature);
    answer.end_part();
  }

  void read_call(const JsonElement& call, AnswerBuilder& answer) {
    if (!call.is_object()) return answer.unreadable("a tool call");
    const WrittenText name{member(call, "name")};
    if (!name.readable()) return answer.unreadable("the name of a tool call");
    if (!name.view().empty()) begin_call(WrittenText{member(call, "id")}.view(), name.view(), answer);
    arguments_ += text_or_json(member(call, "args"));
    if (const auto list = member(call, "partialArgs")) read_pieces(*list, answer);
    if (!in_call_ && !(arguments_.empty() && partial_.empty())) return answer.unreadable("the name of a tool call");
    bool more = false;
    const std::optional<JsonElement> will_continue = member(call, "willContinue");
    if (!will_continue || will_continue->get(more) != simdjson::SUCCESS || !more) end_call(answer);
  }

  void read_pieces(const JsonElement& list, AnswerBuilder& answer) {
    JsonArray pieces;
    if (list.get(pieces) != simdjson::SUCCESS) return answer.unreadable("the pieces of a tool call's arguments");
    for (const JsonElement piece : pieces) {
      if (!partial_.add(piece)) answer.unreadable("a piece of a tool call's arguments");
    }
  }

  void begin_call(std::string_view id, std::string_view name, AnswerBuilder& answer) {
    end_call(answer);
    in_call_ = true;
    answer.tool_call(calls_, id, name, {});
  }
  void end_call(AnswerBuilder& answer) {
    if (!std::exchange(in_call_, false)) return;
    // Where pieces are to come the whole may stand there empty.
    const bool whole = !arguments_.empty() && (partial_.empty() || arguments_ != "{}");
    if (whole && !partial_.empty()) answer.unreadable("a tool call that was sent whole and in pieces");
    answer.tool_call(calls_, {}, {}, whole ? arguments_ : partial_.take());
    answer.end_tool_call(calls_++);
    arguments_.clear();
    partial_ = {};
  }

  GeminiUsage usage_;
  std::string arguments_;     // of the call that is being written
  PartialArguments partial_;  // likewise, in pieces
  bool in_call_ = false;
  std::int64_t calls_ = 0;  // that have ended
};

class GeminiStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    static_cast<void>(name);
    reader_.read(data, answer);
    return answer.failure() ? Next::end : Next::more;
  }

 private:
  GeminiReader reader_;
};

}  // namespace

void GeminiFormat::decode(const JsonElement& body, AnswerBuilder& answer) const {
  GeminiReader{}.read(body, answer);
  answer.complete();
}

std::unique_ptr<StreamDecoder> GeminiFormat::stream_decoder() const { return std::make_unique<GeminiStreamDecoder>(); }

const HandoverRules& GeminiFormat::handover_rules(const Target& target) const noexcept {
  return v0::handover_rules(gemini_family(target.model()).files_in_results ? "gemini" : "gemini_2");
}

}  // namespace backstop::inline v0::detail
