#include "handover/projection.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <variant>

#include <fmt/format.h>

#include "identifiers.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::string_view missing_result = "no result was recorded";

[[nodiscard]] bool has_blanks_only(std::string_view text) noexcept {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

/// Whether a part of an assistant's turn, or a text of anyone's, may go to the target.
class PartFilter {
 public:
  PartFilter(const Target& target, const HandoverRules& rules) noexcept : target_{&target}, rules_{&rules} {}

  [[nodiscard]] bool keeps(const Reasoning& reasoning) const noexcept {
    if (rules_->reasoning == ReasoningRule::same_provider) {
      return !reasoning.origin.empty() && reasoning.origin.provider() == target_->provider();
    }
    if (reasoning.origin.empty() || reasoning.origin != *target_) return false;
    return rules_->reasoning == ReasoningRule::same_model || !reasoning.signature.empty() ||
           !reasoning.redacted.empty();
  }
  [[nodiscard]] bool keeps(const Text& text) const noexcept {
    return !rules_->refuses_blank_text || !has_blanks_only(text.text);
  }

 private:
  const Target* target_;
  const HandoverRules* rules_;
};

/// Whether every call is answered directly after its turn and exactly once.
class PairingCheck {
 public:
  /// False when something is out of place.
  [[nodiscard]] bool take(const Message& message) {
    const bool is_results = message.role == Role::tool;
    if (!is_results && unanswered_ > 0) return false;
    if (message.role == Role::assistant) turn_ = &message;
    for (const Part& part : message.parts) {
      if (std::holds_alternative<ToolResult>(part) != is_results) return false;
      if (is_results && !answer(*std::get_if<ToolResult>(&part))) return false;
      if (std::holds_alternative<ToolCall>(part) && !open()) return false;
    }
    return true;
  }
  [[nodiscard]] bool complete() const noexcept { return unanswered_ == 0; }

 private:
  static constexpr std::size_t most_calls = 64;  // in one turn; more are simply rebuilt

  [[nodiscard]] bool open() noexcept {
    if (unanswered_ == most_calls) return false;
    if (unanswered_++ == 0) answered_.reset();
    return true;
  }
  [[nodiscard]] bool answer(const ToolResult& result) noexcept {
    if (turn_ == nullptr || unanswered_ == 0) return false;
    std::size_t index = 0;
    for (const Part& part : turn_->parts) {
      const auto* call = std::get_if<ToolCall>(&part);
      if (call == nullptr) continue;
      if (call->id == result.call_id && !answered_[index]) {
        answered_.set(index);
        --unanswered_;
        return true;
      }
      ++index;
    }
    return false;
  }

  const Message* turn_ = nullptr;
  std::bitset<most_calls> answered_;
  std::size_t unanswered_ = 0;
};

/// Whether the conversation can go to the target as it stands.
[[nodiscard]] bool fits_as_it_is(const ChatRequest& request, const PartFilter& filter, const HandoverRules& rules) {
  const auto names_fit = [&rules](std::string_view name) {
    return detail::is_tool_name(name, rules.most_tool_name_size);
  };
  for (const Tool& tool : request.tools) {
    if (!names_fit(tool.name)) return false;
  }
  PairingCheck pairing;
  std::vector<std::size_t> ids;  // hashed: a false match only costs a copy
  for (const Message& message : request.messages) {
    if (message.parts.empty() || !pairing.take(message)) return false;
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<Text>(&part); text != nullptr && !filter.keeps(*text)) return false;
      if (const auto* thought = std::get_if<Reasoning>(&part); thought != nullptr && !filter.keeps(*thought)) {
        return false;
      }
      const auto* result = std::get_if<ToolResult>(&part);
      if (result != nullptr && !result->files.empty() && !rules.files_in_results) return false;
      if (const auto* call = std::get_if<ToolCall>(&part)) {
        if (!rules.tool_ids.accepts(call->id) || !names_fit(call->name)) return false;
        ids.push_back(std::hash<std::string_view>{}(call->id));
      }
    }
  }
  if (!pairing.complete()) return false;
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) == ids.end();
}

/// Makes the adapted copy, turn by turn.
class Rebuilder {
 public:
  Rebuilder(const ChatRequest& request, const PartFilter& filter, const HandoverRules& rules)
      : messages_{request.messages},
        filter_{filter},
        ids_{rules.tool_ids},
        names_{rules.most_tool_name_size},
        files_in_results_{rules.files_in_results} {
    copy_settings(request);
    for (const Tool& tool : request.tools) names_.reserve(tool.name);
    for (Tool& tool : out_->request.tools) tool.name = names_.assign(tool.name);
    auto& choice = out_->request.tool_choice;
    if (choice && choice->mode == ToolChoice::Mode::named) choice->name = names_.assign(choice->name);
  }

  [[nodiscard]] std::unique_ptr<const Projection::Adapted> build() && {
    std::ptrdiff_t results = 0;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      const Message& message = messages_[i];
      results += std::count_if(message.parts.begin(), message.parts.end(),
                               [](const Part& part) { return std::holds_alternative<ToolResult>(part); });
      if (message.role == Role::assistant) {
        add_assistant(i);
      } else {
        add_other(message);
      }
    }
    out_->losses.results_dropped = static_cast<int>(results - results_used_);
    out_->ids = ids_.take_renamed();
    out_->tools = names_.take_renamed();
    return std::move(out_);
  }

 private:
  void copy_settings(const ChatRequest& from) {
    ChatRequest& to = out_->request;
    to.tools = from.tools;
    to.tool_choice = from.tool_choice;
    to.parallel_tool_calls = from.parallel_tool_calls;
    to.response_format = from.response_format;
    to.max_output_tokens = from.max_output_tokens;
    to.temperature = from.temperature;
    to.top_p = from.top_p;
    to.top_k = from.top_k;
    to.frequency_penalty = from.frequency_penalty;
    to.presence_penalty = from.presence_penalty;
    to.seed = from.seed;
    to.stop = from.stop;
    to.reasoning_effort = from.reasoning_effort;
    to.service_tier = from.service_tier;
    to.metadata = from.metadata;
    to.headers = from.headers;
    to.extra = from.extra;
    to.keep_raw = from.keep_raw;
    to.messages.reserve(from.messages.size() + 1);
  }

  void add_assistant(std::size_t index) {
    Message turn{Role::assistant, {}, messages_[index].cache};
    Message results{Role::tool, {}};
    Message files{Role::user, {}};
    for (const Part& part : messages_[index].parts) {
      if (const auto* thought = std::get_if<Reasoning>(&part); thought != nullptr && !filter_.keeps(*thought)) {
        ++out_->losses.reasoning_dropped;
      } else if (const auto* text = std::get_if<Text>(&part); text != nullptr && !filter_.keeps(*text)) {
        ++out_->losses.blank_texts_dropped;
      } else if (const auto* call = std::get_if<ToolCall>(&part)) {
        std::string id = ids_.assign(call->id);
        ToolResult result = result_of(*call, index, id);
        if (!files_in_results_) move_files(result, call->name, files);
        results.parts.emplace_back(std::move(result));
        turn.parts.emplace_back(ToolCall{std::move(id), names_.assign(call->name), call->arguments, call->cache});
      } else if (!std::holds_alternative<ToolResult>(part)) {
        turn.parts.push_back(part);
      }
    }
    add(std::move(turn), true);
    add(std::move(results), false);
    add(std::move(files), false);
  }

  void move_files(ToolResult& result, std::string_view tool, Message& turn) {
    const std::size_t count = result.files.size();
    if (count == 0) return;
    out_->losses.files_moved += static_cast<int>(count);
    result.text += fmt::format("{}[{} stand{} in the next message.]", result.text.empty() ? "" : "\n",
                               count == 1 ? "A file" : fmt::format("{} files", count), count == 1 ? "s" : "");
    turn.parts.emplace_back(Text{fmt::format("[Returned by the tool {}:]", tool)});
    for (ToolFile& file : result.files) {
      std::visit([&turn](auto& one) { turn.parts.emplace_back(std::move(one)); }, file);
    }
    result.files.clear();
  }

  void add_other(const Message& message) {
    bool had_results = false;
    Message turn{message.role == Role::tool ? Role::user : message.role, {}, message.cache};
    for (const Part& part : message.parts) {
      if (std::holds_alternative<ToolResult>(part)) {
        had_results = true;  // stands after its call
      } else if (const auto* text = std::get_if<Text>(&part); text != nullptr && !filter_.keeps(*text)) {
        ++out_->losses.blank_texts_dropped;
      } else {
        turn.parts.push_back(part);
      }
    }
    add(std::move(turn), !had_results);
  }

  void add(Message turn, bool counts_when_empty) {
    if (!turn.parts.empty()) {
      out_->request.messages.push_back(std::move(turn));
    } else if (counts_when_empty) {
      ++out_->losses.turns_dropped;
    }
  }

  /// The result of a call in the turn at `index`: the last one that names it before the id is used anew. Where one turn
  /// uses an id several times, the results count in their order.
  [[nodiscard]] ToolResult result_of(const ToolCall& call, std::size_t index, const std::string& new_id) {
    const auto names_call = [&call](const Part& part) {
      const auto* other = std::get_if<ToolCall>(&part);
      return other != nullptr && other->id == call.id;
    };
    const auto& turn = messages_[index].parts;
    const auto namesakes = std::count_if(turn.begin(), turn.end(), names_call);
    std::ptrdiff_t position = 0;  // among the namesakes
    for (const Part& part : turn) {
      if (std::get_if<ToolCall>(&part) == &call) break;
      if (names_call(part)) ++position;
    }

    const ToolResult* found = nullptr;
    bool marked = false;
    std::ptrdiff_t seen = 0;
    for (const Message& message : messages_.subspan(index + 1)) {
      if (std::any_of(message.parts.begin(), message.parts.end(), names_call)) break;
      for (const Part& part : message.parts) {
        const auto* result = std::get_if<ToolResult>(&part);
        if (result == nullptr || result->call_id != call.id) continue;
        if (namesakes == 1 || seen == position) {
          found = result;
          marked = result->cache || (message.cache && &part == &message.parts.back());
        }
        ++seen;
      }
    }
    if (found == nullptr) {
      ++out_->losses.results_invented;
      return ToolResult{new_id, std::string{missing_result}, true};
    }
    ++results_used_;
    return ToolResult{new_id, found->text, found->is_error, marked, found->files};
  }

  std::span<const Message> messages_;
  const PartFilter& filter_;
  detail::ToolIdAssigner ids_;
  detail::ToolNameAssigner names_;
  std::unique_ptr<Projection::Adapted> out_ = std::make_unique<Projection::Adapted>();
  bool files_in_results_;
  std::ptrdiff_t results_used_ = 0;
};

}  // namespace

Projection project(const ChatRequest& request, const Target& target, const HandoverRules& rules) {
  const PartFilter filter{target, rules};
  if (fits_as_it_is(request, filter, rules)) return Projection{request};
  return Projection{request, Rebuilder{request, filter, rules}.build()};
}

std::span<const Projection::Renamed> Projection::renamed_ids() const noexcept {
  return adapted_ ? std::span<const Renamed>{adapted_->ids} : std::span<const Renamed>{};
}

std::span<const Projection::Renamed> Projection::renamed_tools() const noexcept {
  return adapted_ ? std::span<const Renamed>{adapted_->tools} : std::span<const Renamed>{};
}

std::string_view Projection::original_tool_name(std::string_view target_name) const noexcept {
  for (const auto& [original, renamed] : renamed_tools()) {
    if (renamed == target_name) return original;
  }
  return target_name;
}

std::string to_string(const HandoverLosses& losses) {
  struct Row {
    int count;
    std::string_view one;
    std::string_view many;
  };
  const std::array<Row, 6> rows{{
      {losses.reasoning_dropped, "block of reasoning dropped", "blocks of reasoning dropped"},
      {losses.results_dropped, "tool result without a call dropped", "tool results without a call dropped"},
      {losses.results_invented, "tool call without a result answered with an error",
       "tool calls without a result answered with an error"},
      {losses.blank_texts_dropped, "blank text dropped", "blank texts dropped"},
      {losses.turns_dropped, "empty turn dropped", "empty turns dropped"},
      {losses.files_moved, "file of a tool moved into a turn of its own",
       "files of tools moved into a turn of their own"},
  }};
  std::string out;
  for (const Row& row : rows) {
    if (row.count == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}{} {}", out.empty() ? "" : ", ", row.count,
                   row.count == 1 ? row.one : row.many);
  }
  return out;
}

}  // namespace backstop::inline v0
