#pragma once

#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"
#include "backstop/runtime/wakeup.hpp"

namespace backstop::inline v0::detail {

/// Waits in a queue until the ticket is let through or refused, or the call is stopped, with the stop's error then. The
/// time counts as waited. `policy` is who lets it wait; both outlive the task.
template <class Ticket>
Task<Result<void>> wait_for_turn(Ticket& ticket, CallContext& context, const Target& target, const char* policy) {
  const TimePoint since = context.now();
  Wakeup wakeup{context};
  ticket.wake_through(wakeup.waker());
  Result<void> stopped;
  while (stopped && ticket.look(context.now()) == Ticket::Stage::waiting) {
    context.note_wait(target, ticket.turn(), policy);
    auto wait = wakeup.until(ticket.turn());
    stopped = co_await wait;
  }
  context.branch().waited += context.now() - since;
  co_return stopped;
}

}  // namespace backstop::inline v0::detail
