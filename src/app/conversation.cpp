#include "backstop/app/conversation.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "app/open_calls.hpp"
#include "backstop/json.hpp"
#include "chat/token_estimate.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0 {
namespace {

/// Neighbours among the messages that are taken out together or not at all.
struct Stretch {
  std::size_t begin = 0;
  std::size_t end = 0;
};

[[nodiscard]] std::int64_t tokens_of(const Message& message) {
  return estimate_input_tokens(ChatRequest{std::vector<Message>{message}});
}

[[nodiscard]] std::ptrdiff_t count_results(const Message& message, std::string_view call_id) {
  return std::count_if(message.parts.begin(), message.parts.end(), [&](const Part& part) {
    const auto* result = std::get_if<ToolResult>(&part);
    return result != nullptr && result->call_id == call_id;
  });
}

/// Nothing but results of tools.
[[nodiscard]] bool only_results(const Message& message) {
  return !message.parts.empty() && std::all_of(message.parts.begin(), message.parts.end(), [](const Part& part) {
    return std::holds_alternative<ToolResult>(part);
  });
}

[[nodiscard]] bool has_call(const Message& message, std::string_view id) {
  return std::any_of(message.parts.begin(), message.parts.end(), [&](const Part& part) {
    const auto* call = std::get_if<ToolCall>(&part);
    return call != nullptr && call->id == id;
  });
}

/// The calls of a turn that have no result behind it; one behind another call of the same id is that one's. Different
/// calls of one id have their results in their order.
[[nodiscard]] std::vector<ToolCall> open_calls_of(const std::vector<Message>& messages, std::size_t turn) {
  std::vector<ToolCall> open;
  std::vector<const ToolCall*> calls;
  for (const Part& part : messages[turn].parts) {
    const auto* call = std::get_if<ToolCall>(&part);
    if (call == nullptr) continue;
    const auto same = std::find_if(calls.begin(), calls.end(), [&](const ToolCall* one) { return *one == *call; });
    const auto before = std::count_if(calls.begin(), same, [&](const ToolCall* one) { return one->id == call->id; });
    if (same == calls.end()) calls.push_back(call);
    const auto begin = messages.begin() + static_cast<std::ptrdiff_t>(turn) + 1;
    const auto end =
        std::find_if(begin, messages.end(), [&](const Message& message) { return has_call(message, call->id); });
    std::ptrdiff_t results = 0;
    for (auto message = begin; message != end; ++message) results += count_results(*message, call->id);
    if (results <= before) open.push_back(*call);
  }
  return open;
}

[[nodiscard]] std::size_t newest(const std::vector<Message>& messages, Role role) {
  for (std::size_t index = messages.size(); index-- > 0;) {
    if (messages[index].role == role) return index;
  }
  return messages.size();
}

/// A conversation as `trim` sees it: what goes first stands first.
class Trimming {
 public:
  Trimming(const std::vector<Message>& messages, const ConversationWindow& window)
      : messages_{&messages}, window_{&window}, taken_(messages.size(), false) {
    for (const Message& message : messages) {
      tokens_.push_back(tokens_of(message));
      total_ += tokens_.back();
      if (message.role != Role::system) ++count_;
    }
  }

  /// Which are to be taken out.
  [[nodiscard]] const std::vector<bool>& decide() {
    const std::size_t question = newest(*messages_, Role::user);
    const bool asked = question < messages_->size();
    if (asked) take(exchanges(question));
    take(answers(asked ? question + 1 : 0));
    return taken_;
  }

 private:
  [[nodiscard]] bool fits() const noexcept {
    return total_ <= window_->max_tokens.value_or(total_) && count_ <= window_->max_messages.value_or(count_);
  }
  void take(const std::vector<Stretch>& stretches) {
    for (const Stretch& stretch : stretches) {
      if (fits()) return;
      for (std::size_t index = stretch.begin; index < stretch.end; ++index) {
        if ((*messages_)[index].role == Role::system) continue;
        taken_[index] = true;
        total_ -= tokens_[index];
        --count_;
      }
    }
  }
  /// A user's turn and what follows it, up to the newest question.
  [[nodiscard]] std::vector<Stretch> exchanges(std::size_t question) const {
    return stretches(0, question, [](const Message& message) { return message.role == Role::user; });
  }
  /// An answer and the results of its calls; all but the newest.
  [[nodiscard]] std::vector<Stretch> answers(std::size_t begin) const {
    auto all = stretches(begin, messages_->size(), [](const Message& message) { return message.role != Role::tool; });
    if (!all.empty()) all.pop_back();
    return all;
  }
  template <class Begins>
  [[nodiscard]] std::vector<Stretch> stretches(std::size_t begin, std::size_t end, Begins begins) const {
    std::vector<Stretch> all;
    for (std::size_t index = begin; index < end; ++index) {
      if (all.empty() || begins((*messages_)[index])) all.push_back({index, index});
      all.back().end = index + 1;
    }
    return all;
  }

  const std::vector<Message>* messages_;
  const ConversationWindow* window_;
  std::vector<bool> taken_;
  std::vector<std::int64_t> tokens_;
  std::int64_t total_ = 0;
  std::size_t count_ = 0;
};

}  // namespace

std::size_t detail::last_turn(const std::vector<Message>& messages) noexcept {
  const auto turn = std::find_if_not(messages.rbegin(), messages.rend(), only_results);
  return turn == messages.rend() ? messages.size() : static_cast<std::size_t>(messages.rend() - turn) - 1;
}

bool detail::has_open_calls(const std::vector<Message>& messages, std::size_t end) {
  for (std::size_t turn = 0; turn < end; ++turn) {
    if (!open_calls_of(messages, turn).empty()) return true;
  }
  return false;
}

std::size_t detail::refuse_open_calls(std::vector<Message>& messages, std::size_t end, std::string_view text) {
  std::size_t count = 0;
  for (std::size_t turn = end; turn-- > 0;) {
    std::vector<Message> refusals;
    for (const ToolCall& call : open_calls_of(messages, turn)) {
      refusals.push_back(Message::tool_result(call.id, std::string{text}, true));
    }
    const auto behind =
        std::find_if_not(messages.begin() + static_cast<std::ptrdiff_t>(turn) + 1, messages.end(), only_results);
    messages.insert(behind, std::make_move_iterator(refusals.begin()), std::make_move_iterator(refusals.end()));
    count += refusals.size();
  }
  return count;
}

Conversation::Conversation(std::string system) {
  if (!system.empty()) messages_.push_back(Message::system(std::move(system)));
}

Conversation::Conversation(std::vector<Message> messages) noexcept : messages_{std::move(messages)} {}

Conversation& Conversation::ask(std::string text) { return append(Message::user(std::move(text))); }

Conversation& Conversation::append(const ChatResponse& reply) {
  if (Message message = reply.message(); !message.parts.empty()) messages_.push_back(std::move(message));
  return *this;
}

Conversation& Conversation::append(Message message) {
  messages_.push_back(std::move(message));
  return *this;
}

std::vector<ToolCall> Conversation::open_calls() const {
  const std::size_t turn = detail::last_turn(messages_);
  return turn < messages_.size() ? open_calls_of(messages_, turn) : std::vector<ToolCall>{};
}

std::size_t Conversation::refuse_open_calls(std::string_view text) {
  return detail::refuse_open_calls(messages_, messages_.size(), text);
}

std::size_t Conversation::trim(const ConversationWindow& window) {
  Trimming trimming{messages_, window};
  const std::vector<bool>& taken = trimming.decide();
  std::vector<Message> kept;
  for (std::size_t index = 0; index < messages_.size(); ++index) {
    if (!taken[index]) kept.push_back(std::move(messages_[index]));
  }
  const std::size_t count = messages_.size() - kept.size();
  messages_ = std::move(kept);
  return count;
}

std::string Conversation::to_json() const { return json_text(backstop::to_json(messages_)); }

Result<Conversation> Conversation::from_json(std::string_view text) {
  const auto json = detail::parse_json(text);
  if (!json) return json.error();
  if (json->is_array() && json->empty()) return Conversation{};
  auto messages = messages_from_json(*json);
  if (!messages) return std::move(messages).error();
  return Conversation{*std::move(messages)};
}

}  // namespace backstop::inline v0
