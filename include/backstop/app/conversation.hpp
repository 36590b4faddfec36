#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// How long a conversation may be. What is unset is not limited.
struct ConversationWindow {
  std::optional<std::int64_t> max_tokens{};   ///< of all turns, as estimated: about a quarter of their bytes
  std::optional<std::size_t> max_messages{};  ///< system text not counted
};

/// The turns of a talk in their order, to be sent again with each question: `client.chat(talk.ask("And then?"))`.
///
/// A copy is a branch: what is added to one is not in the other.
/// Thread safety: as a vector. Cost: copying copies the turns.
///
/// Example:
///     Conversation talk{"You are brief."};
///     auto reply = client.chat(talk.ask("Why did my pager go off?"));
///     if (reply) talk.append(*reply);
class BACKSTOP_EXPORT Conversation {
 public:
  Conversation() = default;
  /// Begins with text of the system's; without it where that is empty.
  explicit Conversation(std::string system);
  explicit Conversation(std::vector<Message> messages) noexcept;

  /// The user's next turn.
  Conversation& ask(std::string text);
  /// An answer as the assistant's next turn, its reasoning tagged with its origin; one without any parts adds none.
  Conversation& append(const ChatResponse& reply);
  Conversation& append(Message message);

  [[nodiscard]] const std::vector<Message>& messages() const noexcept { return messages_; }
  /// The question to a model: all turns, and nothing else set.
  [[nodiscard]] ChatRequest request() const { return ChatRequest{messages_}; }
  operator ChatRequest() const { return request(); }
  /// The calls of the last turn that have no result yet, in order: those that the next `run` makes. There are none once
  /// a user's turn or another answer stands behind them.
  [[nodiscard]] std::vector<ToolCall> open_calls() const;
  /// Gives every call in the conversation that has no result an error result with that text, right behind its turn, and
  /// returns how many that were: no `run` makes them, and the model is told why. For after a turn that was cancelled.
  ///
  /// Example: `talk.refuse_open_calls("cancelled by the user"); talk.ask("Something else: ...");`
  std::size_t refuse_open_calls(std::string_view text);

  /// Takes the oldest turns out until the rest fits, and returns how many messages that were.
  ///
  /// Whole exchanges go first, each a user's turn and what followed it; then the oldest answers, each with its tool
  /// calls and their results, since the newest user's turn. Kept, even where the rest then does not fit: system text,
  /// the newest user's turn, and the newest answer after it.
  std::size_t trim(const ConversationWindow& window);

  /// As a JSON array in the form of OpenAI Chat Completions, with keys of our own for reasoning and its origin.
  [[nodiscard]] std::string to_json() const;
  /// Errors: `invalid_request` with the place (`messages[2].role`) and what is accepted there.
  [[nodiscard]] static Result<Conversation> from_json(std::string_view text);

  friend bool operator==(const Conversation&, const Conversation&) = default;

 private:
  std::vector<Message> messages_;
};

}  // namespace backstop::inline v0
