#include "messages.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "backstop/json.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

class OllamaTurns {
 public:
  explicit OllamaTurns(const Target& target) noexcept : target_{&target} {}

  [[nodiscard]] Result<Json> write(const std::vector<Message>& messages) {
    for (const Message& message : messages) {
      switch (message.role) {
        case Role::system: add_turn(message, "system"); break;
        case Role::user:
        case Role::tool: add_turn(message, "user"); break;
        case Role::assistant: add_turn(message, "assistant"); break;
      }
    }
    if (unsupported_) return *std::move(unsupported_);
    if (!out_.empty()) return std::move(out_);
    return Error{ErrorKind::invalid_request, "messages: the conversation is empty; it needs a message with content"};
  }

 private:
  /// Results come first: they have to follow the calls that they answer.
  void add_turn(const Message& message, std::string_view role) {
    Json turn{{"role", role}, {"content", text_of(message.parts)}};
    for (const Part& part : message.parts) {
      std::visit([&](const auto& one) { add_part(turn, one); }, part);
    }
    const bool says_something = !turn["content"].get_ref<const std::string&>().empty() || turn.contains("images") ||
                                turn.contains("tool_calls");
    if (says_something) out_.push_back(std::move(turn));
  }

  static void add_part(Json&, const Text&) {}  // all of them are the content
  void add_part(Json& turn, const Image& image) {
    if (image.data.empty()) return refuse("images by their bytes only, not by an address");
    turn["images"].push_back(image.data);
  }
  void add_part(Json&, const Document&) { refuse("no documents"); }
  void add_part(Json&, const Audio&) { refuse("no recordings"); }
  static void add_part(Json& turn, const Reasoning& reasoning) {
    if (reasoning.text.empty()) return;
    const auto before = turn.find("thinking");
    turn["thinking"] = (before == turn.end() ? "" : before->get<std::string>()) + reasoning.text;
  }
  void add_part(Json& turn, const ToolCall& call) {
    names_[call.id] = call.name;
    Json& calls = turn["tool_calls"];
    const std::size_t index = calls.size();
    calls.push_back(Json{{"id", call.id},
                         {"type", "function"},
                         {"function",
                          {{"index", index},
                           {"name", call.name},
                           {"arguments", arguments_to_json(call.arguments)}}}});
  }
  /// Templates go by the name, not by the id.
  void add_part(Json&, const ToolResult& result) {
    const auto name = names_.find(result.call_id);
    Json turn{{"role", "tool"}, {"content", (result.is_error ? "Error: " : "") + result.text}};
    if (name != names_.end()) turn["tool_name"] = name->second;
    turn["tool_call_id"] = result.call_id;
    out_.push_back(std::move(turn));
  }

  void refuse(std::string_view what) {
    if (unsupported_) return;
    unsupported_ = Error{ErrorKind::unsupported_capability, fmt::format("{} takes {}", target_->name(), what)};
  }

  const Target* target_;
  Json out_ = Json::array();
  std::map<std::string, std::string> names_;  // of the calls so far, by id
  std::optional<Error> unsupported_;
};

}  // namespace

Result<Json> encode_ollama_messages(const std::vector<Message>& messages, const Target& target) {
  return OllamaTurns{target}.write(messages);
}

}  // namespace backstop::inline v0::detail
