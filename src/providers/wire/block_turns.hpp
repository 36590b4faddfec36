#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "chat/cache_marks.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

/// A conversation as turns of content blocks: the leading system text apart, turns that alternate and begin with the
/// user's.
struct BlockConversation {
  std::string system;
  std::vector<std::size_t> system_marks;  ///< how much of it stands before each mark for the prompt cache
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  /// The last turn of the model called tools without thinking first, and their results follow: Claude's budgeted
  /// thinking must then be off, or the turn is refused.
  bool in_unthought_tool_loop = false;
};

/// The system text in pieces, each of which but the last ends with a mark; the last one may be empty.
[[nodiscard]] inline std::vector<std::string> pieces_of_system(const BlockConversation& conversation) {
  std::vector<std::string> pieces;
  std::size_t from = 0;
  for (const std::size_t end : conversation.system_marks) {
    if (end > from) pieces.push_back(conversation.system.substr(from, end - from));
    from = conversation.system.find_first_not_of('\n', end);
    if (from == std::string::npos) from = conversation.system.size();
  }
  pieces.push_back(conversation.system.substr(from));
  return pieces;
}

/// Writes a conversation made acceptable by `project`.
///
/// `Blocks` makes a content block of a part: null for one that the wire has no place for; `unsupported` says what makes
/// the whole conversation unsupported. Its static functions are the wire's forms: `text` makes a block of a text,
/// `is_result` and `is_thinking` know a block, `arrange` puts the blocks of a finished turn in the wire's order, `mark`
/// marks a block for the prompt cache, and `place_marks` gives the marks of a turn their form in the end.
template <class Blocks>
class BlockTurns {
 public:
  explicit BlockTurns(Blocks blocks = {}) : blocks_{std::move(blocks)} {}

  /// Errors: `invalid_request` without any message; `unsupported_capability` for what the wire has no form for.
  [[nodiscard]] Result<BlockConversation> write(const std::vector<Message>& messages) {
    const auto first_turn = std::find_if(messages.begin(), messages.end(),
                                         [](const Message& message) { return message.role != Role::system; });
    // Instructions alone are no conversation: they are asked as a question.
    const bool only_system = first_turn == messages.end();
    if (!only_system) {
      std::for_each(messages.begin(), first_turn, [this](const Message& message) { add_system(message); });
    }
    for (auto message = only_system ? messages.begin() : first_turn; message != messages.end(); ++message) {
      add(*message, only_system);
      if (!blocks_.unsupported().empty()) {
        return Error{ErrorKind::unsupported_capability, "the conversation has " + blocks_.unsupported()};
      }
    }
    if (out_.messages.empty()) {
      return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
    }
    for (Json& turn : out_.messages) Blocks::arrange(turn["content"]);
    trim_last_turn();
    find_tool_loop();
    for (Json& turn : out_.messages) Blocks::place_marks(turn["content"]);
    return std::move(out_);
  }

 private:
  using Json = nlohmann::ordered_json;

  /// Stands in where a conversation begins with a turn of the model, which the wire does not allow.
  static constexpr std::string_view missing_beginning = "(The beginning of this conversation is not shown.)";

  void add_system(const Message& message) {
    const std::string text = text_of(message.parts);
    if (trim(text).empty()) return;
    if (!out_.system.empty()) out_.system += "\n\n";
    out_.system += text;
    if (has_mark(message)) out_.system_marks.push_back(out_.system.size());
  }

  void add(const Message& message, bool plain) {
    const std::string_view role = message.role == Role::assistant ? "assistant" : "user";
    if (message.role == Role::system) {
      // Moving it to the front would change its meaning, and break the provider's prompt cache.
      const std::string text = text_of(message.parts);
      if (trim(text).empty()) return;
      return append(role, Blocks::text(plain ? text : "<system>" + text + "</system>"), has_mark(message));
    }
    for (std::size_t place = 0; place < message.parts.size(); ++place) {
      append(role, std::visit(blocks_, message.parts[place]), is_marked(message, place));
    }
  }

  void append(std::string_view role, Json block, bool marked = false) {
    if (block.is_null()) return;
    if (marked) Blocks::mark(block);
    if (out_.messages.empty() && role == "assistant") append("user", Blocks::text(std::string{missing_beginning}));
    if (out_.messages.empty() || out_.messages.back()["role"].template get_ref<const std::string&>() != role) {
      out_.messages.push_back(Json{{"role", role}, {"content", Json::array()}});
    }
    out_.messages.back()["content"].push_back(std::move(block));
  }

  /// A turn of the model at the end is one that it goes on with; Claude refuses white space at its end.
  void trim_last_turn() {
    Json& last = out_.messages.back();
    if (last["role"] != "assistant") return;
    const auto text = last["content"].back().find("text");
    if (text == last["content"].back().end()) return;
    auto& words = text->template get_ref<std::string&>();
    words.erase(words.find_last_not_of(" \t\r\n") + 1);
  }

  void find_tool_loop() {
    if (out_.messages.size() < 2) return;
    const Json& results = out_.messages.back();
    const Json& calls = out_.messages[out_.messages.size() - 2];
    out_.in_unthought_tool_loop =
        Blocks::is_result(results["content"].front()) && !Blocks::is_thinking(calls["content"].front());
  }

  BlockConversation out_;
  Blocks blocks_;
};

}  // namespace backstop::inline v0::detail
