#include "backstop/policies/cache.hpp"

#include <memory>
#include <new>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "handover/own_parameters.hpp"
#include "policies/one_target.hpp"
#include "policies/options_text.hpp"
#include "policies/provider_id.hpp"
#include "policies/request_key.hpp"
#include "runtime/emit_answer.hpp"

namespace backstop::inline v0 {
namespace {

constexpr double ttl_jitter = 0.1;

/// Whether an answer may stand for itself later: whole, and as good as the target can.
[[nodiscard]] bool worth_keeping(const ChatResponse& answer) noexcept {
  const bool complete = answer.finish_reason == FinishReason::stop || answer.finish_reason == FinishReason::tool_calls;
  return complete && !answer.fallback && !answer.degradation && !answer.parts.empty();
}

class Cache final : public Decorator {
 public:
  Cache(Provider next, const CacheOptions& options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{options},
        answers_{options.shared ? *options.shared : AnswerCache{options.max_bytes}},
        id_{Decorator::next()},
        answerer_{answerer(options_, id_)},
        one_target_{detail::sends_to_one_target(Decorator::next().get())} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.stopping()) co_return context.stop_error();
    if (!may_be_kept(request)) {
      auto passed = co_await next().call(request, context);
      co_return passed;
    }
    std::string key = answerer_;
    detail::append_key(key, request, !options_.across_users);
    if (const std::shared_ptr<const ChatResponse> kept = answers_.find(key, context.now())) {
      co_return answer_again(*kept, context);
    }
    auto result = co_await next().call(request, context);
    if (result && worth_keeping(*result)) keep(std::move(key), *result, context);
    co_return result;
  }

  /// It may have an answer when no target is ready.
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (standing.ready() || !standing.fit() || !kept_for(request, now)) return standing;
    standing.verdict = Standing::Verdict::ready;
    standing.finds_out = false;
    return standing;
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.answers = true;
    layer.ends_call = [this](const ChatRequest& request, const CallContext& context) -> std::optional<Result<Target>> {
      const std::shared_ptr<const ChatResponse> kept = kept_for(request, context.now());
      if (!kept) return std::nullopt;
      return Result<Target>{kept->served_by};
    };
    return layer;
  }

 private:
  /// By the temperature that it is answered at; of several targets each may have its own, and the request's counts.
  [[nodiscard]] bool may_be_kept(const ChatRequest& request) const noexcept {
    if (options_.any_temperature) return true;
    return (one_target_ ? detail::temperature_of(target(), request) : request.temperature) == 0.0;
  }

  [[nodiscard]] ChatResponse answer_again(const ChatResponse& kept, const CallContext& context) const {
    CallState& state = context.state();
    if (state.first_choice == nullptr) state.first_choice = &target();
    Attempt& row = state.ledger.emplace_back();
    row.target = kept.served_by;
    row.reason = "answered from the cache";
    ChatResponse answer = kept;
    answer.usage = Usage{};
    answer.usage.input_tokens = 0;
    answer.usage.output_tokens = 0;
    if (context.streaming()) {
      detail::emit_answer(answer, context);
    } else {
      context.note_first_content();
    }
    return answer;
  }

  /// The answer that a call would get; null when it would ask. Changes nothing.
  [[nodiscard]] std::shared_ptr<const ChatResponse> kept_for(const ChatRequest& request, TimePoint now) const noexcept {
    if (!may_be_kept(request)) return nullptr;
    try {
      std::string key = answerer_;
      detail::append_key(key, request, !options_.across_users);
      return answers_.peek(key, now);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  void keep(std::string key, const ChatResponse& answer, const CallContext& context) const {
    const double factor = 1 + ttl_jitter * (2 * context.runtime().random_unit() - 1);
    const double ns = static_cast<double>(options_.ttl.count()) * factor;
    const Duration ttl = ns < 9.2e18 ? Duration{static_cast<Duration::rep>(ns)} : Duration::max();
    try {
      answers_.put(std::move(key), answer, context.now(), saturating_add(context.now(), ttl));
    } catch (const std::bad_alloc&) {
      // The answer stands without being kept.
    }
  }

  /// Who answers, as the beginning of a key. A cache of its own answers for one provider only.
  [[nodiscard]] static std::string answerer(const CacheOptions& options, const detail::ProviderId& id) {
    if (!options.shared) return {};
    if (options.shared_as.empty()) return fmt::format("#{}:", id.value());
    return fmt::format("={}:{}", options.shared_as.size(), options.shared_as);
  }

  CacheOptions options_;
  AnswerCache answers_;
  detail::ProviderId id_;
  std::string answerer_;
  bool one_target_;
};

[[nodiscard]] std::string describe_cache(const CacheOptions& options) {
  detail::OptionsText text{"cache"};
  text.add("ttl", options.ttl, CacheOptions{}.ttl);
  if (options.any_temperature) text.append("any_temperature", "true");
  if (options.across_users) text.append("across_users", "true");
  if (options.shared) text.append("shared", "true");
  if (!options.shared_as.empty()) text.append("shared_as", options.shared_as);
  return text.text();
}

}  // namespace

Policy cache(CacheOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe_cache(options);
  return make_policy<Cache>(std::move(description), std::move(options));
}

std::string problem_with(const CacheOptions& options) {
  if (options.ttl <= Duration::zero()) return "cache: ttl must be longer than 0";
  if (options.max_bytes == 0) return "cache: max_bytes must be above 0";
  if (!options.shared_as.empty() && !options.shared) return "cache: shared_as needs a cache in `shared`";
  return {};
}

}  // namespace backstop::inline v0
