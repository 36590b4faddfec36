#include "stacks/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "stacks/targets.hpp"

namespace stacks {

using namespace backstop;

namespace {

/// Everything that became of the calls.
std::string trace_of(const Play& play) {
  std::string trace;
  for (const CallLog::Call& call : play.stack().log->calls()) {
    fmt::format_to(std::back_inserter(trace), "{} in {}:", call.failed ? to_string(*call.failed) : "ok",
                   call.elapsed.count());
    for (const Attempt& row : call.attempts) {
      fmt::format_to(std::back_inserter(trace), " [{} {} {} {} {} {}]", row.target.name(), row.sent, row.waited.count(),
                     row.elapsed.count(), row.cost.units(), row.reason);
    }
    trace += '\n';
  }
  return trace;
}

}  // namespace

std::vector<Violation> violations_of(const Case& played) {
  Found found;
  std::string trace;
  {
    live_frames = 0;
    Play play{played};
    play.run();
    check_ends(play, found);
    check_texts(play, found);
    check_rows(play, found);
    check_money(play, found);
    check_left(play, found);
    check_fit(play, found);
    check_choice(play, found);
    check_deadlines(play, found);
    check_answers(play, found);
    check_notices(play, found);
    check_secrets(play, found);
    check_plan(play, found);
    trace = trace_of(play);
  }
  check_nested(played, found);
  if (played.seed % 16 == 0) {
    Play again{played};
    again.run();
    const std::string other = trace_of(again);
    if (other != trace) found.push_back({"same-again", fmt::format("first: {}then: {}", trace, other)});
  }
  return found;
}

void check_ends(const Play& play, Found& found) {
  if (!play.thrown().empty()) found.push_back({"no-hang", play.thrown()});
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (seen.streaming && (seen.endings > 1 || (seen.whole && seen.endings != 1) || seen.events_after_end > 0)) {
      found.push_back({"one-terminal-event", fmt::format("consumer {} saw {} endings and {} events after the first", i,
                                                         seen.endings, seen.events_after_end)});
      break;
    }
  }
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (!seen.asked_on_done || seen.on_done == 1 || !play.thrown().empty()) continue;
    found.push_back({"one-on-done", fmt::format("on_done of consumer {} was called {} times", i, seen.on_done)});
    break;
  }
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const auto& log = play.seen()[i].log;
    if (!log || log->calls().size() == 1 || !play.thrown().empty()) continue;
    found.push_back({"one-call-event", fmt::format("the observer of consumer {} was told {} times", i,
                                                   log->calls().size())});
    break;
  }
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const ConsumerSpec& consumer = play.played().consumers[i];
    if (consumer.face != Face::chat_async || consumer.destroy_at >= 0 || play.seen()[i].result) continue;
    found.push_back({"no-hang", fmt::format("the coroutine of consumer {} was never resumed", i)});
    break;
  }
  const auto ended = static_cast<int>(play.stack().log->calls().size());
  if (ended != play.calls_made() && play.thrown().empty()) {
    found.push_back({"one-call-event", fmt::format("{} calls, {} call events", play.calls_made(), ended)});
  }
}

void check_texts(const Play& play, Found& found) {
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (!seen.streaming || !seen.whole || !seen.result) continue;
    const auto& result = *seen.result;
    if (!result && !result.error().committed) continue;
    const std::string text = result ? result->text() : result.error().partial_text;
    if (text == seen.text) continue;
    found.push_back({"text-equals-deltas", fmt::format("consumer {}: the {} says \"{}\", its deltas \"{}\"", i,
                                                       result ? "answer" : std::string{to_string(result.error().kind)},
                                                       text, seen.text)});
    return;
  }
}

void check_rows(const Play& play, Found& found) {
  const Stack& stack = play.stack();
  for (const Leaf& leaf : stack.leaves) {
    std::size_t rows = 0;
    for (const CallLog::Call& call : stack.log->calls()) {
      rows += static_cast<std::size_t>(
          std::count_if(call.attempts.begin(), call.attempts.end(),
                        [&](const Attempt& row) { return row.sent && row.target == leaf.target; }));
    }
    if (rows == leaf.send_count()) continue;
    found.push_back({"rows-equal-sends", fmt::format("{} had {} sends, the ledgers have {} rows of it",
                                                     leaf.target.name(), leaf.send_count(), rows)});
    break;
  }
  for (const CallLog::Call& call : stack.log->calls()) {
    Money sum;
    for (const Attempt& row : call.attempts) sum += row.cost;
    if (sum == call.cost) continue;
    found.push_back({"cost-equals-rows", fmt::format("a call's cost is {}, its rows cost {}", to_string(call.cost),
                                                     to_string(sum))});
    break;
  }
}

void check_left(Play& play, Found& found) {
  const Stack& stack = play.stack();
  const TimePoint now = play.runtime().clock().now();
  std::string left;
  const auto add = [&](bool is_left, std::string_view what) {
    if (is_left) left.append(left.empty() ? "" : ", ").append(what);
  };
  const bool probes = has_policy(play.played().root, PolicyKind::probe);  // they go on for as long as the client lives
  add(!probes && !play.runtime().idle(), "a timer or a coroutine that is ready");
  for (const auto& budget : stack.budgets) {
    add(budget && budget->snapshot(now).reserved != BudgetCharge{}, "money reserved in a budget");
  }
  for (const auto& limit : stack.rate_limits) {
    if (!limit) continue;
    const RateLimitSnapshot snapshot = limit->snapshot(now);
    add(snapshot.waiting != 0, "somebody in a rate limit's queue");
    for (const auto* dimension : {&snapshot.requests, &snapshot.tokens}) {
      add(*dimension && (*dimension)->reserved != 0, "something reserved in a rate limit");
    }
  }
  for (const auto* limits : {&stack.bulkheads, &stack.adaptives}) {
    for (const auto& limit : *limits) {
      if (!limit) continue;
      add(limit->snapshot().in_flight != 0, "a permit of a concurrency limit");
      add(limit->snapshot().waiting != 0, "somebody in a concurrency limit's queue");
    }
  }
  for (const auto& breaker : stack.breakers) add(breaker && breaker->probe_out(), "a breaker's probe");
  add(live_frames != 0, "a coroutine's frame");
  if (!left.empty()) found.push_back({"nothing-left", left});
}

void check_fit(const Play& play, Found& found) {
  const Case& played = play.played();
  for (std::size_t i = 0; i < play.stack().leaves.size(); ++i) {
    const Leaf& leaf = play.stack().leaves[i];
    for (const ChatRequest& sent : leaf.requests()) {
      RequestSpec asked;
      asked.tools = !sent.tools.empty();
      std::size_t length = 0;
      for (const Message& message : sent.messages) {
        if (message.role == Role::user) length += text_of(message.parts).size();  // not what a floor has refused
        for (const Part& part : message.parts) asked.image = asked.image || std::holds_alternative<Image>(part);
      }
      asked.long_prompt = length > 6 * static_cast<std::size_t>(small_window);
      if (!misfit(played.leaves[i], asked)) continue;
      found.push_back({"no-unfit-target-asked",
                       fmt::format("{} was asked{}{}{}", leaf.target.name(),
                                   asked.tools && !played.leaves[i].tools ? " for tools" : "",
                                   asked.image && !played.leaves[i].vision ? " to look at an image" : "",
                                   asked.long_prompt ? " with a long prompt" : "")});
      return;
    }
  }
}

// What a call names as its targets is who is asked; what cannot be named is refused before anything is sent.
void check_choice(const Play& play, Found& found) {
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    const auto& targets = play.played().consumers[i].targets;
    if (targets.empty() || !seen.log || seen.log->calls().empty()) continue;
    const bool possible = can_be_chosen(play.played().root, targets);
    for (const Attempt& row : seen.log->calls().front().attempts) {
      const auto leaf = std::find_if(play.stack().leaves.begin(), play.stack().leaves.end(),
                                     [&](const Leaf& one) { return one.target == row.target; });
      if (leaf == play.stack().leaves.end() || !row.sent) continue;
      const auto number = static_cast<int>(leaf - play.stack().leaves.begin());
      if (possible && std::find(targets.begin(), targets.end(), number) != targets.end()) continue;
      found.push_back({"only-chosen-targets", fmt::format("consumer {} did not choose {}, which was asked", i,
                                                          row.target.name())});
      return;
    }
  }
}

void check_deadlines(const Play& play, Found& found) {
  if (play.blocked_inside()) return;  // a call cannot end while a callback of it waits for something else
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (!seen.result) continue;
    const Duration elapsed = *seen.result ? (*seen.result)->elapsed : seen.result->error().elapsed;
    if (elapsed <= seen.deadline) continue;
    found.push_back({"deadline-held",
                     fmt::format("the call of consumer {} took {} ms and had {} ms", i,
                                 std::chrono::duration_cast<std::chrono::milliseconds>(elapsed).count(),
                                 std::chrono::duration_cast<std::chrono::milliseconds>(seen.deadline).count())});
    return;
  }
}

void check_answers(const Play& play, Found& found) {
  if (play.blocked_inside()) return;
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (!seen.result) continue;
    const bool by_a_target = *seen.result && (*seen.result)->served_by.provider() != "local";
    if (by_a_target || !must_be_answered(play.played(), play.played().consumers[i])) continue;
    found.push_back({"answered-when-possible",
                     fmt::format("consumer {} got: {}", i,
                                 *seen.result ? "the canned answer" : to_string(seen.result->error()))});
    return;
  }
}

// A target that lacks something has answered only where that was given up, and nobody says so without a ladder. Rows of
// policies of the application's own, which make up answers, are not followed.
void check_notices(const Play& play, Found& found) {
  const auto has_ladder = [](auto&& self, const Node& node) -> bool {
    return node.client.degrade > 0 || std::any_of(node.children.begin(), node.children.end(),
                                                  [&](const Node& child) { return self(self, child); });
  };
  const bool ladder = has_ladder(has_ladder, play.played().root);
  for (std::size_t i = 0; i < play.seen().size(); ++i) {
    const Seen& seen = play.seen()[i];
    if (!seen.result || !*seen.result) continue;
    const ChatResponse& answer = **seen.result;
    const auto& requests = play.played().requests;
    const RequestSpec& asked = requests[static_cast<std::size_t>(play.played().consumers[i].request) % requests.size()];
    bool lacks = false;
    for (std::size_t k = 0; k < play.stack().leaves.size(); ++k) {
      const bool answered = std::any_of(answer.attempts.begin(), answer.attempts.end(), [&](const Attempt& row) {
        return row.sent && !row.outcome && row.target == play.stack().leaves[k].target;
      });
      lacks = lacks || (answered && answer.served_by == play.stack().leaves[k].target &&
                        misfit(play.played().leaves[k], asked));
    }
    const bool told_in_stream = !seen.streaming || !seen.whole || seen.degraded == answer.degradation.has_value();
    if ((!lacks || answer.degradation) && (ladder || !answer.degradation) && told_in_stream) continue;
    found.push_back({"given-up-with-notice",
                     fmt::format("consumer {}: {} answered, and {}{}", i, answer.served_by.name(),
                                 answer.degradation ? answer.degradation->notice : "nothing was said of what it lacks",
                                 told_in_stream ? "" : "; the stream and the answer differ about it")});
    return;
  }
}

void check_secrets(const Play& play, Found& found) {
  const auto look = [&](std::string_view where, const std::string& text) {
    for (const std::string_view mark : {prompt_mark, answer_mark, key_mark}) {
      if (text.find(mark) == text.npos) continue;
      found.push_back({"no-secret-in-error", fmt::format("{} holds {}: {}", where, mark, text)});
      return true;
    }
    return false;
  };
  if (look("describe()", play.stack().client->describe())) return;
  for (const CallLog::Call& call : play.stack().log->calls()) {
    for (const Attempt& row : call.attempts) {
      if (look("a row's reason", row.reason) || look("reason_of", reason_of(row))) return;
    }
  }
  for (const Seen& seen : play.seen()) {
    if (seen.result && *seen.result && (*seen.result)->degradation) {
      const Degradation& told = *(*seen.result)->degradation;
      if (look("what was given up", told.reason + " " + told.notice)) return;
    }
    if (!seen.result || *seen.result) continue;
    if (look("an error's message", seen.result->error().message)) return;
    if (look("an error as text", to_string(seen.result->error()))) return;
  }
}

}  // namespace stacks
