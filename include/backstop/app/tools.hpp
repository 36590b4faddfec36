#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "backstop/app/conversation.hpp"
#include "backstop/call/call_options.hpp"
#include "backstop/chat/message.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

class FallbackClient;

/// What a tool does: gets the call, with its arguments as JSON text, and gives a text for the model. An error's message
/// and the words of an exception go to the model too, as the result of a tool that failed. It may block, and should end
/// early when a stop is requested.
using ToolFunction = std::function<Result<std::string>(const ToolCall& call, const std::stop_token& stop)>;

/// A tool that models are told of, and what is done when one calls it. `typed_tool` (`app/typed.hpp`) makes one of a
/// function with types of its own.
struct CallableTool {
  Tool tool{};
  ToolFunction function{};
};

/// The functions that models may call, in the order in which they are told of them.
///
/// Thread safety: const access from many threads, as far as the functions allow it.
/// Errors: std::invalid_argument for a tool without a name or function, for a name twice, and for a schema that
/// arguments cannot be checked by (`matches_schema` has which can).
///
/// Example: `Tools tools; tools.add({.name = "now"}, [](auto&&...) { return time_as_text(); });`
class BACKSTOP_EXPORT Tools {
 public:
  Tools();
  Tools(std::initializer_list<CallableTool> tools);
  Tools& add(CallableTool tool);
  Tools& add(Tool tool, ToolFunction function) { return add({std::move(tool), std::move(function)}); }

  [[nodiscard]] const std::vector<Tool>& list() const noexcept;
  /// Runs the tool and gives its result, an error result where there is no tool of that name, where the arguments are no
  /// JSON object or do not match its schema, and where it fails. Throws nothing.
  [[nodiscard]] ToolResult call(const ToolCall& call, const std::stop_token& stop = {}) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// What holds for a talk with tools, from its question to the answer that calls none.
struct RunOptions {
  /// For all rounds together: the deadline, from the entry, the stop token, the events, the targets. `max_attempts` and
  /// `recovery_wait` are each round's.
  CallOptions call{};
  int max_rounds = 10;              ///< answers of the model, at least 1
  /// Of all rounds; each send's worst case is reserved, as by `cost_cap`. $0: only targets that cost nothing are asked.
  std::optional<Money> max_cost{};
  /// What else each round is asked with: output limit, temperature, metadata. Its messages and tools must be empty.
  ChatRequest settings{};
  /// Told of each call with its result, on the calling thread, when the result has been added.
  std::function<void(const ToolCall&, const ToolResult&)> on_tool{};
};

/// Asks a model, calls the tools that it wants, gives it their results, and so on until it is done.
///
/// Answers and results are added to the conversation as they come, so that it says what has happened whatever the end,
/// and another `run` with it goes on from there: calls of the last answer that have no result yet are made first, as
/// long as nothing but results stands behind it. Calls that the conversation has gone past, with a user's turn or
/// another answer, are never made: they get an error result, of which `on_tool` is not told. Of a round that fails
/// nothing is added; the question stays, and what had come of the answer is in `Error::partial_text`.
///
/// Calls of one answer are made one after the other, in their order, on the calling thread. A tool never runs twice for
/// one call id: where an answer has the same call with the same id again, both get one result; another call with an id
/// that was used before, also in an earlier answer, gets an id of its own. Each round may be answered by another target,
/// which gets the whole history.
///
/// The result is the last answer, with cost, time and attempts of all rounds; `degradation` is the last round's.
///
/// Errors: those of a round, with cost, time and attempts of all rounds. `cancelled` and `deadline_exceeded` also
/// between two tools; `budget_exceeded` where `max_cost` leaves no room for another round; `local_limit` after
/// `max_rounds` answers that all call tools. std::invalid_argument for options that cannot be.
[[nodiscard]] BACKSTOP_EXPORT Result<ChatResponse> run(const FallbackClient& client, Conversation& conversation,
                                                       const Tools& tools, const RunOptions& options = {});

}  // namespace backstop::inline v0
