#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

struct ChatRequest;
struct SessionMove;
namespace detail {
class Walk;
}

/// Why a target has its place in the order: stands in the rows of its sends.
struct Pick {
  std::shared_ptr<const std::string> strategy;  ///< its name
  double score = 0;
  const SessionMove* session = nullptr;  ///< where that decided
};

/// What the routing above tells of the other targets of the call. A client inside another adds to it.
struct RoutingHint {
  bool other_ready = false;  ///< another target, at whatever level, could be sent to right now
  bool in_client = false;    ///< a client is around, which does the waiting for targets to recover
  bool forced_probe = false;  ///< every target is out, and this one was chosen for one attempt all the same
  bool after_all = false;    ///< had left the call to others, and these have failed
  int barred_sends = 0;      ///< of the call's sends, how many the limit of a client around does not allow here
  int kept_sends = 0;        ///< of the call's sends, how many are kept for targets still to come, at all levels
  int kept_outside = 0;      ///< of these, how many are for targets that the barred ones are for, too
  int kept_from_repeats = 0;  ///< of these, how many are kept from repeats alone, not from what is asked aside
  bool own_limit = false;    ///< the innermost client around bars more of them than any further out
  int targets_to_come = 0;   ///< that are ready and may be asked, at all levels; time is kept for each
  bool wants_draft = false;  ///< a client around hands an answer that a quality floor refuses to its next target
  bool restarts = false;     ///< the innermost client around begins a stream anew after content
  bool once = false;         ///< the policies around it allow the target one send, but for a new key or another clock
  bool hedges = false;       ///< is asked beside another that has not answered yet
  bool judges = false;       ///< is asked to judge another's answer
  bool summarizes = false;   ///< is asked for a summary of older turns
  bool reduced = false;      ///< see `Needs::reduced`: of the request, something was given up
  bool shortened = false;    ///< likewise, see `Needs::shortened`
  const ChatRequest* whole = nullptr;  ///< likewise, see `Needs::whole`
  std::size_t appended = 0;  ///< likewise, see `Needs::appended`
  bool may_degrade = false;  ///< a client may take rungs of its own ladder, whoever else is ready
  bool first_choice = true;     ///< where the call would have gone without failures is decided at this point
  const std::string* text_so_far = nullptr;  ///< what has been delivered of an answer that is to be continued; null: none
  TimePoint whole_deadline = (TimePoint::max)();  ///< before any of that time was kept
  const Pick* pick = nullptr;  ///< of the innermost client; null: as listed
  const detail::Walk* around = nullptr;  ///< where a client inside finds out anew which of the others are ready
  Duration cooldown_max = std::chrono::minutes{10};  ///< the longest that a server's hint keeps a target out
};

}  // namespace backstop::inline v0
