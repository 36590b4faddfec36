#include "backstop/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "backstop/chat/format.hpp"
#include "backstop/policies/retry.hpp"
#include "handover/cost_estimate.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0 {
namespace {

using detail::duration_text;

/// A policy that is odd outside another one.
struct Misplaced {
  std::string_view outer;
  std::string_view inner;
  std::string_view why;
  std::string_view instead;
};

constexpr std::string_view per_target = "put it around each target";
constexpr std::string_view inside_retry = "put it inside retry";

constexpr std::string_view holds_probe =
    "while a call waits or is refused further in, it holds the permit of the only probe";
constexpr std::string_view breaker_inside = "put circuit_breaker inside it, next to timeout";

constexpr std::string_view spends_on_hits =
    "an answer that is there already is still counted, paid for or refused by what stands outside";
constexpr std::string_view outermost = "put it outside the target's other policies, or around the client";

constexpr std::array misplaced{
    Misplaced{"retry", "fallback", "it repeats the whole walk over the targets, those that had their tries included",
              per_target},
    Misplaced{"circuit_breaker", "fallback",
              "it counts only calls that failed at every target, and then refuses those that one would answer",
              per_target},
    Misplaced{"circuit_breaker", "retry",
              "it counts several failures as one, and cannot end the retries when the target is down", inside_retry},
    Misplaced{"rate_limit", "retry", "it takes the permit of one send for all that are made", inside_retry},
    Misplaced{"adaptive_concurrency", "retry", "it takes the waits between attempts for the target's latency",
              inside_retry},
    Misplaced{"bulkhead", "retry", "it holds its permit during the waits between attempts", inside_retry},
    Misplaced{"bulkhead", "rate_limit", "it holds its permit while the call waits for the rate limit",
              "put bulkhead inside rate_limit"},
    Misplaced{"circuit_breaker", "rate_limit", holds_probe, breaker_inside},
    Misplaced{"circuit_breaker", "bulkhead", holds_probe, breaker_inside},
    Misplaced{"circuit_breaker", "adaptive_concurrency", holds_probe, breaker_inside},
    Misplaced{"circuit_breaker", "cost_cap", holds_probe, breaker_inside},
    Misplaced{"retry", "cache", spends_on_hits, outermost},
    Misplaced{"rate_limit", "cache", spends_on_hits, outermost},
    Misplaced{"bulkhead", "cache", spends_on_hits, outermost},
    Misplaced{"adaptive_concurrency", "cache", spends_on_hits, outermost},
    Misplaced{"circuit_breaker", "cache", spends_on_hits, outermost},
    Misplaced{"accept_if", "cache", "it keeps answers before they are judged, and gives a rejected one again",
              "put cache outside accept_if"},
    Misplaced{"single_flight", "cache", "an answer that is there already begins a flight all the same",
              "put cache outside single_flight"},
    Misplaced{"retry", "single_flight", spends_on_hits, outermost},
    Misplaced{"rate_limit", "single_flight", spends_on_hits, outermost},
    Misplaced{"bulkhead", "single_flight", spends_on_hits, outermost},
    Misplaced{"circuit_breaker", "single_flight", spends_on_hits, outermost},
};

/// Policies of which a stack needs one at most, and what a second one does.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> only_once{{
    {"retry", "the inner one's last failure is tried again by the outer one, after waits of its own"},
    {"circuit_breaker", "the outer one never sees the failures for which the inner one refuses"},
    {"cache", "the same answers are kept twice"},
    {"single_flight", "the same calls are joined twice"},
}};

/// Limits that begin together, or within each other: the first can only be reached when it is below the second.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> within{{
    {"first_byte", "first_token"},
    {"connect", "attempt"},
    {"first_byte", "attempt"},
    {"first_token", "attempt"},
    {"idle", "attempt"},
}};

[[nodiscard]] std::optional<Duration> span_of(const Layer& layer, std::string_view name) {
  for (const Layer::Limit& limit : layer.limits) {
    if (limit.name == name) return limit.span;
  }
  return std::nullopt;
}

/// The layers between the application or a fallback client and the next fallback client or model, outermost first.
struct Stack {
  std::vector<Layer> layers;
  Target target;
};

class Linter {
 public:
  void visit(const ChatProvider& provider) { visit(provider, Stack{}, {}); }
  [[nodiscard]] std::vector<Finding> findings() && { return std::move(findings_); }

 private:
  /// What the layers further out mean for a target.
  struct Surroundings {
    std::size_t others = 0;  ///< other targets that the call may go to
    bool retried = false;
    std::size_t depth = 0;
    std::optional<Money> most_cost;  ///< that a send may have, by the caps around it
  };

  void visit(const ChatProvider& provider, Stack stack, Surroundings outside) {
    Layer layer = provider.layer();
    const bool idle_retry = layer.name == "retry" && layer.sends <= 1;
    const std::vector<const ChatProvider*> around = layer.around;
    if (layer.name == "retry" && !idle_retry) outside.retried = true;
    if (layer.most_cost) outside.most_cost = std::min(outside.most_cost.value_or(*layer.most_cost), *layer.most_cost);
    const bool chooses = layer.pool != nullptr;
    if (chooses && outside.depth == 0) call_ = layer;
    if (!idle_retry) stack.layers.push_back(std::move(layer));
    if (around.size() == 1 && !chooses) return visit(*around.front(), std::move(stack), outside);

    if (around.empty()) stack.target = provider.target();
    check(stack, outside);
    if (around.empty()) return;
    outside.others += around.size() - 1;
    ++outside.depth;
    for (const ChatProvider* next : around) visit(*next, Stack{}, outside);
  }

  void check(const Stack& stack, const Surroundings& outside) {
    check_order(stack);
    check_repeats(stack);
    for (const Layer& layer : stack.layers) check_limits(stack, layer);
    check_nested_timeouts(stack);
    check_company(stack, outside);
    check_cost(stack, outside);
  }

  void check_order(const Stack& stack) {
    for (const Misplaced& rule : misplaced) {
      const auto outer = named(stack, rule.outer, stack.layers.begin());
      if (outer == stack.layers.end() || named(stack, rule.inner, outer) == stack.layers.end()) continue;
      add(stack, fmt::format("{} stands outside {}", rule.outer, rule.inner), rule.why, rule.instead);
    }
  }

  void check_repeats(const Stack& stack) {
    for (const auto& [name, why] : only_once) {
      const auto first = named(stack, name, stack.layers.begin());
      if (first == stack.layers.end() || named(stack, name, first + 1) == stack.layers.end()) continue;
      add(stack, fmt::format("{} stands twice in one stack", name), why, "keep one of them");
    }
  }

  void check_limits(const Stack& stack, const Layer& layer) {
    if (layer.name == "retry" && call_ && layer.sends > std::max(call_->sends, RetryOptions{}.max_attempts)) {
      add(stack, fmt::format("retry allows {} sends, and the call {}", layer.sends, call_->sends),
          "the call's limit counts the sends to all targets, and ends the retries earlier",
          "raise CallLimits::max_attempts, or lower RetryOptions::max_attempts");
    }
    if (layer.name != "timeout") return;
    const std::optional<Duration> deadline = call_ ? span_of(*call_, "deadline") : std::nullopt;
    for (const Layer::Limit& limit : layer.limits) {
      if (!deadline || limit.span == Duration::max() || limit.span <= *deadline) continue;
      add(stack, fmt::format("timeout: {} is {}, and the call's deadline {}", limit.name, duration_text(limit.span),
                             duration_text(*deadline)),
          "the deadline passes first, so that the limit is never reached and nobody falls over",
          "lower the limit, or raise CallLimits::deadline");
    }
    for (const auto& [inner, outer] : within) {
      const auto shorter = span_of(layer, inner);
      const auto longer = span_of(layer, outer);
      if (!shorter || !longer || *shorter == Duration::max() || *shorter <= *longer) continue;
      add(stack, fmt::format("timeout: {} is {}, and {} {}", inner, duration_text(*shorter), outer,
                             duration_text(*longer)),
          fmt::format("{} passes first, so that {} is never reached", outer, inner), "lower the one or raise the other");
    }
  }

  void check_nested_timeouts(const Stack& stack) {
    for (auto outer = named(stack, "timeout", stack.layers.begin()); outer != stack.layers.end();
         outer = named(stack, "timeout", outer + 1)) {
      for (auto inner = named(stack, "timeout", outer + 1); inner != stack.layers.end();
           inner = named(stack, "timeout", inner + 1)) {
        for (const Layer::Limit& limit : inner->limits) {
          const auto further_out = span_of(*outer, limit.name);
          if (!further_out || limit.span == Duration::max() || limit.span <= *further_out) continue;
          add(stack, fmt::format("timeout: {} is {}, and {} in the timeout further out", limit.name,
                                 duration_text(limit.span), duration_text(*further_out)),
              "both are limits of the same attempt; the shorter one counts", "keep one of them");
        }
      }
    }
  }

  /// What a target alone lacks, and what needs another one.
  void check_company(const Stack& stack, const Surroundings& outside) {
    if (stack.target.empty() || outside.others > 0) return;
    if (!outside.retried) {
      add(stack, "the only target has no retry", "one failure that a repeat would mend fails the call",
          "put retry or standard() around it, or give the client another target");
    }
  }

  /// The least that is sent: a few words, answered within the least limit.
  void check_cost(const Stack& stack, const Surroundings& outside) {
    if (stack.target.empty() || !outside.most_cost) return;
    const std::optional<Price> price = price_of(stack.target);
    if (!price) return;  // may be assumed
    const Money least = cost_of(least_usage(stack.target, std::nullopt, {.tokens = 10}), *price);
    if (least <= *outside.most_cost) return;
    add(stack, fmt::format("a cap of {}, and the least that a send costs is {}", *outside.most_cost, least),
        "the target can never be asked", "raise the cap, or take a cheaper model");
  }

  using Iterator = std::vector<Layer>::const_iterator;
  [[nodiscard]] static Iterator named(const Stack& stack, std::string_view name, Iterator from) {
    return std::find_if(from, stack.layers.end(), [name](const Layer& layer) { return layer.name == name; });
  }
  void add(const Stack& stack, std::string what, std::string_view why, std::string_view instead) {
    findings_.push_back(Finding{stack.target, std::move(what), std::string{why}, std::string{instead}});
  }

  std::optional<Layer> call_;  // the outermost fallback client, whose limits are the call's
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> lint(const Provider& provider) {
  Linter linter;
  linter.visit(provider.get());
  return std::move(linter).findings();
}

}  // namespace backstop::inline v0
