#include "handover/reduce.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "chat/token_estimate.hpp"
#include "text/name_in.hpp"

namespace backstop::inline v0::detail {
namespace {

/// "1 image", "2 images".
[[nodiscard]] std::string counted(std::size_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}
[[nodiscard]] std::string_view was(std::size_t count) noexcept { return count == 1 ? "was" : "were"; }

/// What is known of a file: its name or the address without its query, its type, its size.
[[nodiscard]] std::string about_file(std::string_view name, std::string_view media_type, std::string_view url,
                                     std::string_view data) {
  std::string text;
  const auto add = [&text](std::string_view more) { text.append(text.empty() ? ": " : ", ").append(more); };
  if (!name.empty()) add(name);
  if (!media_type.empty()) add(media_type);
  if (!url.empty()) add(url.substr(0, url.find('?')));
  if (!data.empty()) add(fmt::format("{} kB", (data.size() / 4 * 3 + 999) / 1000));
  return text;
}

/// Puts a text in the place of what a tool returned of that kind.
template <class Kind, class Describe>
[[nodiscard]] std::size_t replace_files(ToolResult& result, const Describe& describe) {
  std::vector<ToolFile> others;
  for (ToolFile& file : result.files) {
    if (const auto* kind = std::get_if<Kind>(&file)) {
      result.text.append(result.text.empty() ? "" : "\n").append(describe(*kind));
    } else {
      others.push_back(std::move(file));
    }
  }
  const std::size_t count = result.files.size() - others.size();
  result.files = std::move(others);
  return count;
}

/// Puts a text in the place of every part of that kind, and says how many there were.
template <class Kind, class Describe>
[[nodiscard]] std::size_t replace_parts(ChatRequest& request, const Describe& describe) {
  std::size_t count = 0;
  for (Message& message : request.messages) {
    for (Part& part : message.parts) {
      if (auto* result = std::get_if<ToolResult>(&part)) count += replace_files<Kind>(*result, describe);
      const auto* kind = std::get_if<Kind>(&part);
      if (kind == nullptr) continue;
      part = Text{describe(*kind), kind->cache};
      ++count;
    }
  }
  return count;
}

[[nodiscard]] std::string take_images(ChatRequest& request) {
  const std::size_t count = replace_parts<Image>(request, [](const Image& image) {
    return fmt::format("[An image was left out here{}.]", about_file("", image.media_type, image.url, image.data));
  });
  return count == 0 ? "" : fmt::format("{} {} left out: the model did not see {}.", counted(count, "image"), was(count),
                                       count == 1 ? "it" : "them");
}

[[nodiscard]] std::string take_documents(ChatRequest& request) {
  const std::size_t count = replace_parts<Document>(request, [](const Document& file) {
    return fmt::format("[A document was left out here{}.]",
                       about_file(file.name, file.media_type, file.url, file.data));
  });
  return count == 0 ? "" : fmt::format("{} {} left out: the model did not read {}.", counted(count, "document"),
                                       was(count), count == 1 ? "it" : "them");
}

[[nodiscard]] std::string take_reasoning(ChatRequest& request) {
  const std::string_view effort = request.reasoning_effort;
  if (effort.empty() || effort == "none") return {};
  std::string notice = fmt::format("The model was not asked to think, where effort \"{}\" was wanted.", effort);
  request.reasoning_effort.clear();
  return notice;
}

[[nodiscard]] std::string take_schema(ChatRequest& request) {
  std::optional<ResponseFormat>& format = request.response_format;
  if (!format || format->by_instruction || format->type != ResponseFormat::Type::json_schema) return {};
  format->by_instruction = true;
  // Behind the system texts at the beginning, so that what is cached of those stays valid.
  const auto turns = std::find_if(request.messages.begin(), request.messages.end(),
                                  [](const Message& message) { return message.role != Role::system; });
  std::string about = format->description.empty() ? "" : fmt::format("It is: {}\n", format->description);
  request.messages.insert(
      turns, Message::system(fmt::format("Answer with JSON that follows this JSON Schema and nothing else: no words "
                                         "around it, no code fence.\n{}{}",
                                         about, format->schema)));
  return "The form of the answer was asked for in words: the provider did not hold it to the JSON schema.";
}

/// Calls and results of tools as text, or left out.
class ToolHistory {
 public:
  explicit ToolHistory(bool as_text) noexcept : as_text_{as_text} {}

  /// What was taken out, in words: the calls; where there are only results, these.
  [[nodiscard]] std::string take_out_of(std::vector<Message>& messages) {
    std::size_t calls = 0;
    std::size_t results = 0;
    for (Message& message : messages) {
      std::vector<Part> kept;
      for (Part& part : message.parts) {
        if (auto* call = std::get_if<ToolCall>(&part)) {
          ++calls;
          open_.insert_or_assign(call->id, std::move(*call));
        } else if (const auto* result = std::get_if<ToolResult>(&part)) {
          ++results;
          if (!as_text_) continue;
          kept.emplace_back(Text{words_of(*result), result->cache});
          for (const ToolFile& file : result->files) {
            std::visit([&kept](const auto& one) { kept.emplace_back(one); }, file);
          }
        } else {
          kept.push_back(std::move(part));
        }
      }
      // What a tool said is told, not written by the model: it would write calls that way itself.
      if (message.role == Role::tool) message.role = Role::user;
      message.parts = std::move(kept);
    }
    std::erase_if(messages, [](const Message& message) { return message.parts.empty(); });
    const std::size_t told = calls > 0 ? calls : results;
    const char* const noun = calls > 0 ? "tool call" : "tool result";
    return fmt::format("{} of the conversation {} {}.", counted(told, noun), was(told),
                       as_text_ ? "told as text" : "left out");
  }

 private:
  [[nodiscard]] std::string words_of(const ToolResult& result) {
    const auto call = open_.find(result.call_id);
    const std::string_view outcome = result.is_error ? "It failed" : "It returned";
    if (call == open_.end()) return fmt::format("[A tool was called. {}:]\n{}", outcome, result.text);
    return fmt::format("[The tool {} was called with {}. {}:]\n{}", call->second.name,
                       call->second.arguments.empty() ? "{}" : call->second.arguments, outcome, result.text);
  }

  bool as_text_;
  std::unordered_map<std::string, ToolCall> open_;
};

[[nodiscard]] std::string take_tools(ChatRequest& request, bool keep_history) {
  const bool in_history = std::any_of(request.messages.begin(), request.messages.end(), [](const Message& message) {
    return std::any_of(message.parts.begin(), message.parts.end(), [](const Part& part) {
      return std::holds_alternative<ToolCall>(part) || std::holds_alternative<ToolResult>(part);
    });
  });
  if (request.tools.empty() && !in_history) return {};
  std::string notice;
  if (!request.tools.empty()) {
    notice = fmt::format("{} {} not offered to the model.", counted(request.tools.size(), "tool"),
                         was(request.tools.size()));
  }
  request.tools.clear();
  request.tool_choice.reset();
  request.parallel_tool_calls.reset();
  if (!in_history) return notice;
  if (!notice.empty()) notice += ' ';
  return notice + ToolHistory{keep_history}.take_out_of(request.messages);
}

[[nodiscard]] bool has_calls(const Message& message) noexcept {
  return std::any_of(message.parts.begin(), message.parts.end(),
                     [](const Part& part) { return std::holds_alternative<ToolCall>(part); });
}

/// What is kept free of a window for the answer.
[[nodiscard]] std::int64_t room_for_answer(const ChatRequest& request, std::int64_t window) noexcept {
  constexpr std::int64_t usual = 4096;
  return std::min(request.max_output_tokens.value_or(usual), window / 4);
}

/// Makes a conversation shorter, the oldest parts first.
class HistoryCut {
 public:
  HistoryCut(ChatRequest& request, const ReductionOptions& options)
      : messages_{request.messages}, options_{&options}, tokens_{estimate_input_tokens(request)} {
    if (options.left_out != nullptr) as_they_were_ = messages_;
    if (options.window) most_ = std::max<std::int64_t>(0, *options.window - room_for_answer(request, *options.window));
    keep(static_cast<std::size_t>(std::max(options.keep_turns, 0)));
  }

  [[nodiscard]] std::string cut() {
    std::size_t results = 0;
    // With no window to fit all turns that may go will go, results and all.
    if (most_) results = shorten_results();
    const std::size_t turns = drop_turns();
    if (results == 0 && turns == 0) return {};
    std::string notice;
    if (turns > 0) {
      notice = fmt::format("{} of the conversation {} left out{}.", counted(turns, "older turn"), was(turns),
                           about_summary(turns));
    }
    if (results > 0) {
      if (!notice.empty()) notice += ' ';
      notice += fmt::format("{} {} left out.", counted(results, "older tool result"), was(results));
    }
    return notice;
  }

 private:
  /// Finds out what stays: the newest turn of the user, and the newest so many, from the call on that they answer.
  void keep(std::size_t turns) {
    const std::size_t given = messages_.size() - std::min(options_->appended, messages_.size());
    kept_from_ = given - std::min(turns, given);
    while (kept_from_ > 0 && kept_from_ < messages_.size() && messages_[kept_from_].role == Role::tool) --kept_from_;
    for (std::size_t index = given; index-- > 0;) {
      if (messages_[index].role != Role::user) continue;
      newest_of_user_ = index;
      break;
    }
    // An answer that was begun is gone on with.
    if (!messages_.empty() && messages_.back().role == Role::assistant && !has_calls(messages_.back())) {
      kept_from_ = std::min(kept_from_, messages_.size() - 1);
    }
  }
  [[nodiscard]] bool stays(std::size_t index) const noexcept {
    return index >= kept_from_ || index == newest_of_user_ || messages_[index].role == Role::system;
  }
  [[nodiscard]] bool fits() const noexcept { return most_ && tokens_ <= *most_; }

  [[nodiscard]] std::size_t shorten_results() {
    std::size_t count = 0;
    for (std::size_t index = 0; index < messages_.size() && !fits(); ++index) {
      if (stays(index)) continue;
      for (Part& part : messages_[index].parts) {
        auto* result = std::get_if<ToolResult>(&part);
        if (result == nullptr || fits()) continue;
        std::string note = fmt::format("[This result was left out to save room: {} bytes.]", result->text.size());
        if (note.size() >= result->text.size() && result->files.empty()) continue;
        tokens_ -= estimate_tokens(*result) - estimate_tokens(note.size());
        result->text = std::move(note);
        result->files.clear();
        ++count;
      }
    }
    return count;
  }

  [[nodiscard]] std::size_t drop_turns() {
    constexpr std::int64_t tokens_of_note = 24;
    std::vector<bool> dropped(messages_.size());
    std::size_t count = 0;
    std::size_t first = messages_.size();
    for (std::size_t index = 0; index < messages_.size() && !fits(); ++index) {
      if (stays(index) || messages_[index].role == Role::tool) continue;
      if (count == 0) {
        first = index;
        // A token of a summary has up to six bytes, where the estimate counts four.
        tokens_ += tokens_of_note + options_->summary_tokens * 3 / 2;
      }
      do {  // a call goes with its results
        tokens_ -= tokens_taken(messages_[index]);
        dropped[index] = true;
        ++count;
        ++index;
      } while (index < messages_.size() && messages_[index].role == Role::tool && !stays(index));
      --index;
    }
    if (count == 0) return 0;
    std::vector<Message> kept;
    kept.reserve(messages_.size() - count + 1);
    for (std::size_t index = 0; index < messages_.size(); ++index) {
      if (index == first) kept.push_back(Message::user(note_on(count)));
      if (!dropped[index]) kept.push_back(std::move(messages_[index]));
      if (dropped[index] && options_->left_out != nullptr) options_->left_out->push_back(std::move(as_they_were_[index]));
    }
    messages_ = std::move(kept);
    return count;
  }

  [[nodiscard]] bool has_summary() const noexcept { return options_->summary != nullptr && !options_->summary->text.empty(); }
  /// Of so many turns that are left out: "them", or how many of them.
  [[nodiscard]] std::string summarized(std::size_t turns) const {
    if (options_->summary->turns >= turns) return turns == 1 ? "it" : "them";
    return fmt::format("the {} oldest of them", options_->summary->turns);
  }
  /// What stands in their place.
  [[nodiscard]] std::string note_on(std::size_t turns) const {
    std::string note = fmt::format("[{} of this conversation {} left out here to save room.", counted(turns, "older turn"),
                                   was(turns));
    if (!has_summary()) return note + ']';
    return note + fmt::format(" A summary of {}, written by a model:]\n{}\n[The summary ends here.]", summarized(turns),
                              options_->summary->text);
  }
  [[nodiscard]] std::string about_summary(std::size_t turns) const {
    if (options_->summary_tokens == 0) return {};
    if (options_->summary == nullptr) return "; no summary was made";
    const HistorySummary& summary = *options_->summary;
    if (has_summary()) return fmt::format("; a summary by {} stands for {}", summary.by, summarized(turns));
    return fmt::format("; {} made no summary: {}", summary.by, summary.why);
  }

  /// Of a turn that is dropped: its parts are gone then, its role stays.
  [[nodiscard]] static std::int64_t tokens_taken(Message& message) {
    ChatRequest alone;
    alone.messages.push_back(std::move(message));
    return estimate_input_tokens(alone);
  }

  std::vector<Message>& messages_;
  const ReductionOptions* options_;
  std::vector<Message> as_they_were_;  // where what is left out is asked for
  std::int64_t tokens_;
  std::optional<std::int64_t> most_;
  std::size_t kept_from_ = 0;
  std::optional<std::size_t> newest_of_user_;
};

[[nodiscard]] std::string take_history(ChatRequest& request, const ReductionOptions& options) {
  return HistoryCut{request, options}.cut();
}

[[nodiscard]] std::string take_output(ChatRequest& request, const ReductionOptions& options) {
  constexpr std::int64_t least = 256;  // what is less is no answer
  constexpr std::int64_t none = INT64_MAX;
  const std::int64_t wanted = std::min(request.max_output_tokens.value_or(none), options.most_output.value_or(none));
  if (wanted == none) return {};
  std::int64_t fitting = wanted;
  if (options.window) {
    const std::int64_t input = estimate_input_tokens(request);
    fitting = *options.window - input - input / 4;  // code and other scripts have more tokens than the estimate says
  }
  if (fitting >= wanted && options.halve_output) fitting = wanted / 2;
  fitting = std::max(fitting, least);
  if (fitting >= wanted) return {};
  request.max_output_tokens = fitting;
  return fmt::format("The answer was limited to {} tokens, where {} were wanted.", fitting, wanted);
}

}  // namespace

std::string_view to_string(Feature feature) noexcept {
  constexpr std::array<std::string_view, feature_count> names{"vision",  "documents", "reasoning", "json_schema",
                                                              "history", "tools",     "output"};
  return detail::name_in(names, feature);
}

std::string take_out(Feature feature, ChatRequest& request, const ReductionOptions& options) {
  switch (feature) {
    case Feature::vision: return take_images(request);
    case Feature::documents: return take_documents(request);
    case Feature::reasoning: return take_reasoning(request);
    case Feature::json_schema: return take_schema(request);
    case Feature::history: return take_history(request, options);
    case Feature::tools: return take_tools(request, options.keep_tool_history);
    case Feature::output: return take_output(request, options);
  }
  return {};
}

}  // namespace backstop::inline v0::detail
