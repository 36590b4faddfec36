#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "backstop/chat/result.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0::detail {

/// What a check says of an answer.
struct Verdict {
  Objection objection{};  ///< empty: acceptable
  std::string quote{};    ///< the words of a judge, which are not ours
};

/// How the parts of a check's description hold together.
enum class Binding : unsigned char { either, both, alone };

/// A check, or several that are combined.
class CheckNode {
 public:
  virtual ~CheckNode() = default;
  [[nodiscard]] virtual std::string describe() const = 0;
  [[nodiscard]] virtual Binding binding() const noexcept { return Binding::alone; }
  /// Why no answer to this request could be judged; empty where it can.
  [[nodiscard]] virtual Objection problem_with(const ChatRequest& request) const {
    static_cast<void>(request);
    return std::nullopt;
  }
  /// Another provider has to be asked: `ask` instead of `look`.
  [[nodiscard]] virtual bool asks() const noexcept { return false; }
  /// May throw what the application's code throws.
  [[nodiscard]] virtual Verdict look(const Answer& answer) const {
    static_cast<void>(answer);
    return {};
  }
  /// An error ends the call. The arguments outlive the task.
  [[nodiscard]] virtual Task<Result<Verdict>> ask(const Answer& answer, CallContext& context) const;
};

/// Whether the answer is no last word: the conversation goes on with what the tools return.
[[nodiscard]] inline bool calls_tools(const ChatResponse& response) noexcept {
  return std::any_of(response.parts.begin(), response.parts.end(),
                     [](const Part& part) { return std::holds_alternative<ToolCall>(part); });
}

/// Names a part of a description that binds less than what stands around it in brackets.
[[nodiscard]] inline std::string in_brackets(const CheckNode& node, Binding least) {
  return node.binding() < least ? std::string{"("}.append(node.describe()).append(")") : node.describe();
}

}  // namespace backstop::inline v0::detail
