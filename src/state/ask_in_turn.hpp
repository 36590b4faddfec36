#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "backstop/chat/error.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"
#include "runtime/wait_for_turn.hpp"
#include "state/budget_turn.hpp"

namespace backstop::inline v0::detail {

/// Asks again for money that was refused for now, each time when its turn has come: `ask(turn)` says why there is none
/// and sets the turn that is worth waiting for. Ends with no refusal, with one that no wait mends, or with the stop's
/// error. `turn` keeps its place until it goes. All arguments outlive the task.
template <class Ask>
Task<Result<void>> ask_in_turn(Ask& ask, std::optional<Error>& refusal, std::shared_ptr<BudgetTurn>& turn,
                               CallContext& context, const Target& target) {
  while (refusal && turn) {
    Task<Result<void>> waiting = wait_for_turn(*turn, context, target, "cost_cap");
    Result<void> waited = co_await waiting;
    if (!waited) co_return waited;
    std::shared_ptr<BudgetTurn> next;
    refusal = ask(next);
    if (!refusal) break;
    if (next && next->budget() == turn->budget()) {
      turn->go_on_as(*next);
    } else {
      turn = std::move(next);
    }
  }
  co_return Result<void>{};
}

}  // namespace backstop::inline v0::detail
