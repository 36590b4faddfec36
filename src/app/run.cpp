#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "app/open_calls.hpp"
#include "backstop/app/tools.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/cost_cap.hpp"

namespace backstop::inline v0 {
namespace {

/// The calls of a talk by their ids, and the results that there are.
class CallsMade {
 public:
  explicit CallsMade(const Conversation& conversation) {
    for (const Message& message : conversation.messages()) {
      for (const Part& part : message.parts) {
        if (const auto* call = std::get_if<ToolCall>(&part)) add(*call);
        if (const auto* result = std::get_if<ToolResult>(&part)) add(*result);
      }
    }
  }

  void add(const ToolCall& call) { calls_.push_back(call); }
  void add(const ToolResult& result) { results_.push_back(result); }
  /// The first call with that id; null when there is none.
  [[nodiscard]] const ToolCall* call_of(std::string_view id) const noexcept {
    const auto call = std::find_if(calls_.begin(), calls_.end(), [&](const ToolCall& one) { return one.id == id; });
    return call != calls_.end() ? &*call : nullptr;
  }
  [[nodiscard]] const ToolResult* result_of(std::string_view id) const noexcept {
    const auto result =
        std::find_if(results_.begin(), results_.end(), [&](const ToolResult& one) { return one.call_id == id; });
    return result != results_.end() ? &*result : nullptr;
  }
  /// An id that no call has.
  [[nodiscard]] std::string unused(const std::string& id) const {
    for (int number = 2;; ++number) {
      std::string other = fmt::format("{}_{}", id, number);
      if (call_of(other) == nullptr) return other;
    }
  }

 private:
  std::vector<ToolCall> calls_;
  std::vector<ToolResult> results_;
};

/// Calls that a user or another answer has gone past are not made: what they asked for may not be wanted any more.
void refuse_passed_calls(Conversation& conversation) {
  const std::size_t end = detail::last_turn(conversation.messages());
  if (!detail::has_open_calls(conversation.messages(), end)) return;
  std::vector<Message> messages = conversation.messages();
  detail::refuse_open_calls(messages, end, "not made: the conversation went on");
  conversation = Conversation{std::move(messages)};
}

/// Different calls of an answer that was appended get ids of their own, as those of `run` do: which of them a result is
/// for must be plain.
void separate_open_calls(Conversation& conversation) {
  const std::vector<ToolCall> open = conversation.open_calls();
  const auto has_others = [&](const ToolCall& call) {
    return std::any_of(open.begin(), open.end(), [&](const ToolCall& one) { return one.id == call.id && one != call; });
  };
  if (std::none_of(open.begin(), open.end(), has_others)) return;
  CallsMade made{conversation};
  std::vector<Message> messages = conversation.messages();
  std::vector<std::pair<ToolCall, std::string>> named;  // each call, and its id from now on
  for (Part& part : messages[detail::last_turn(messages)].parts) {
    auto* call = std::get_if<ToolCall>(&part);
    if (call == nullptr || std::find(open.begin(), open.end(), *call) == open.end()) continue;
    const auto known = std::find_if(named.begin(), named.end(), [&](const auto& one) { return one.first == *call; });
    const bool is_taken = made.result_of(call->id) != nullptr ||
                          std::any_of(named.begin(), named.end(), [&](const auto& one) { return one.second == call->id; });
    std::string id = known != named.end() ? known->second : is_taken ? made.unused(call->id) : call->id;
    if (known == named.end()) named.emplace_back(*call, id);
    call->id = std::move(id);
    made.add(*call);
  }
  conversation = Conversation{std::move(messages)};
}

/// One talk with tools, from the question to the answer.
class ToolLoop {
 public:
  ToolLoop(const FallbackClient& client, Conversation& conversation, const Tools& tools, const RunOptions& options)
      : client_{&client},
        conversation_{&conversation},
        tools_{&tools},
        options_{&options},
        call_{options.call},
        made_{conversation},
        started_{now()},
        until_{saturating_add(started_, options.call.limits.deadline.value_or(client.options().limits.deadline))} {
    if (!options.max_cost) return;
    const Policy cap = cost_cap(Budget{{.per_period = *options.max_cost, .period = Duration::max()}});
    call_.around = call_.around ? *call_.around | cap : cap;
  }

  [[nodiscard]] Result<ChatResponse> run() {
    if (auto stopped = make_calls()) return with_totals(*std::move(stopped));
    for (int round = 1;; ++round) {
      call_.limits.deadline = until_ == TimePoint::max() ? Duration::max() : until_ - now();
      Result<ChatResponse> reply = client_->chat(request(), call_);
      if (!reply) return with_totals(std::move(reply));
      const bool goes_on = add(*reply) || reply->finish_reason == FinishReason::paused;
      if (!goes_on) return with_totals(std::move(reply));
      note(*reply);
      if (auto stopped = make_calls()) return with_totals(*std::move(stopped));
      if (round < options_->max_rounds) continue;
      return with_totals(Error{ErrorKind::local_limit,
                               fmt::format("the model is not done after {} rounds (max_rounds)", round)});
    }
  }

 private:
  [[nodiscard]] TimePoint now() const noexcept { return client_->options().runtime->clock().now(); }

  [[nodiscard]] ChatRequest request() const {
    ChatRequest request = options_->settings;
    request.messages = conversation_->messages();
    request.tools = tools_->list();
    return request;
  }

  /// Adds the answer to the talk; whether it calls tools.
  [[nodiscard]] bool add(const ChatResponse& reply) {
    Message message = reply.message();
    bool calls_tools = false;
    for (Part& part : message.parts) {
      auto* call = std::get_if<ToolCall>(&part);
      if (call == nullptr) continue;
      calls_tools = true;
      if (const ToolCall* before = made_.call_of(call->id)) {
        // One with a result is of an earlier answer: some servers count from the beginning in each.
        const bool same = *before == *call && made_.result_of(before->id) == nullptr;
        call->id = made_.unused(call->id);
        if (same) repeats_.emplace_back(call->id, before->id);
      }
      made_.add(*call);
    }
    if (!message.parts.empty()) conversation_->append(std::move(message));
    return calls_tools;
  }

  /// Makes the calls that have no result. Why the talk ends in the midst of them; empty when it goes on.
  [[nodiscard]] std::optional<Error> make_calls() {
    const std::vector<ToolCall> calls = conversation_->open_calls();
    std::vector<ToolResult> results;
    for (const ToolCall& call : calls) {
      if (options_->call.stop.stop_requested()) return Error{ErrorKind::cancelled, "cancelled between two tools"};
      if (now() >= until_) return Error{ErrorKind::deadline_exceeded, "the deadline passed between two tools"};
      // An answer that was appended may have the same call twice.
      const auto same = static_cast<std::size_t>(std::find(calls.begin(), calls.end(), call) - calls.begin());
      ToolResult result = same < results.size() ? results[same] : result_of(call);
      results.push_back(result);
      made_.add(result);
      conversation_->append(Message{Role::tool, {result}});
      if (options_->on_tool) options_->on_tool(call, result);
    }
    return std::nullopt;
  }

  [[nodiscard]] ToolResult result_of(const ToolCall& call) const {
    for (const auto& [id, first] : repeats_) {
      const ToolResult* before = id == call.id ? made_.result_of(first) : nullptr;
      if (before != nullptr) return {call.id, before->text, before->is_error};
    }
    return tools_->call(call, options_->call.stop);
  }

  template <class Outcome>
  void note(Outcome& outcome) {
    cost_ += outcome.cost;
    cost_known_ = cost_known_ && outcome.cost_known;
    attempts_.insert(attempts_.end(), std::make_move_iterator(outcome.attempts.begin()),
                     std::make_move_iterator(outcome.attempts.end()));
  }
  [[nodiscard]] Result<ChatResponse> with_totals(Result<ChatResponse> result) {
    const auto complete = [this](auto& outcome) {
      note(outcome);
      outcome.cost = cost_;
      outcome.cost_known = cost_known_;
      outcome.elapsed = now() - started_;
      outcome.attempts = std::move(attempts_);
    };
    if (result) {
      complete(*result);
    } else {
      complete(result.error());
    }
    return result;
  }

  const FallbackClient* client_;
  Conversation* conversation_;
  const Tools* tools_;
  const RunOptions* options_;
  CallOptions call_;
  CallsMade made_;
  std::vector<std::pair<std::string, std::string>> repeats_;  // id of a call that was made before, and the id then
  Money cost_;
  bool cost_known_ = true;
  Ledger attempts_;
  TimePoint started_;
  TimePoint until_;
};

}  // namespace

Result<ChatResponse> run(const FallbackClient& client, Conversation& conversation, const Tools& tools,
                         const RunOptions& options) {
  if (options.max_rounds < 1) throw std::invalid_argument{"RunOptions::max_rounds must be at least 1"};
  if (options.max_cost && *options.max_cost < Money{}) {
    throw std::invalid_argument{"RunOptions::max_cost must not be below $0"};
  }
  if (!options.settings.messages.empty() || !options.settings.tools.empty()) {
    throw std::invalid_argument{
        "RunOptions::settings must have no messages and no tools; the conversation and the Tools have them"};
  }
  refuse_passed_calls(conversation);
  separate_open_calls(conversation);
  return ToolLoop{client, conversation, tools, options}.run();
}

}  // namespace backstop::inline v0
