#include "routing/ladder_answer.hpp"

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "policies/request_key.hpp"
#include "runtime/emit_answer.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] std::string key_of(const Rung& cached, const ChatRequest& request) {
  // The beginnings that the policy `cache` writes are others, unless its name for them is given.
  std::string key = cached.shared_as.empty() ? "~" : fmt::format("={}:{}", cached.shared_as.size(), cached.shared_as);
  append_key(key, request, true);
  return key;
}

/// For dry runs; as `may_stand_for` has it.
constexpr std::string_view given_when =
    "given when no target answers; not where the request is at fault (invalid_request, or content_filtered that no other "
    "target is asked for), nor once content was delivered";

/// Whether an answer of the ladder's may stand for that failure.
[[nodiscard]] bool may_stand_for(const Error& failure, bool filters_fall_back) noexcept {
  if (failure.committed) return false;
  const ErrorKind kind = failure.cause.value_or(failure.kind);
  if (kind == ErrorKind::deadline_exceeded) return true;
  const FallbackRule rule = traits_of(kind).fallback;
  return rule != FallbackRule::never && (rule != FallbackRule::opt_in || filters_fall_back);
}

[[nodiscard]] ChatResponse canned_answer(const Rung& canned) {
  ChatResponse answer;
  answer.parts.emplace_back(Text{canned.text});
  answer.finish_reason = FinishReason::stop;
  answer.served_by = Target{"local", "canned"};
  answer.model = answer.served_by.model();
  answer.degradation =
      Degradation{{"answer"}, {}, "No model could answer; this text was prepared for that case."};
  return answer;
}

[[nodiscard]] std::optional<ChatResponse> cached_answer(const Rung& cached, const ChatRequest& request,
                                                        TimePoint now) {
  const AnswerCache::Aged kept = cached.answers->find_aged(key_of(cached, request), now, cached.max_age);
  if (kept.answer == nullptr) return std::nullopt;
  ChatResponse answer = *kept.answer;
  answer.degradation =
      Degradation{{"freshness"},
                  {},
                  fmt::format("No model could answer; this is the answer that {} gave to the same request {} ago.",
                              answer.served_by.name(), rounded_text(kept.age))};
  return answer;
}

}  // namespace

std::optional<ChatResponse> answer_of(const std::vector<const Ladder*>& ladders, const ChatRequest& request,
                                      TimePoint now) {
  for (const Ladder* ladder : ladders) {
    std::optional<ChatResponse> answer;
    if (ladder->cached() != nullptr) answer = cached_answer(*ladder->cached(), request, now);
    if (!answer && ladder->canned() != nullptr) answer = canned_answer(*ladder->canned());
    if (!answer) continue;
    answer->degradation->reason = given_when;
    return answer;
  }
  return std::nullopt;
}

Result<ChatResponse> ladder_answer(const std::vector<const Ladder*>& ladders, const ChatRequest& request,
                                   const CallContext& context, Error failure, bool filters_fall_back) {
  if (context.state().lost_event || context.committed() || !may_stand_for(failure, filters_fall_back)) return failure;
  std::optional<ChatResponse> answer = answer_of(ladders, request, context.now());
  if (!answer) return failure;
  answer->degradation->reason = fmt::format("{}: {}", to_string(failure.kind), failure.message);
  answer->usage = Usage{};
  answer->usage.input_tokens = 0;
  answer->usage.output_tokens = 0;
  answer->fallback = true;
  Attempt& row = context.state().add_row(answer->served_by);
  row.reason = answer->degradation->notice;
  if (!context.streaming()) {
    context.note_first_content();
    return std::move(*answer);
  }
  emit_answer(*answer, context);
  return std::move(*answer);
}

void keep_answer(const Ladder& ladder, const ChatRequest& request, const ChatResponse& answer, TimePoint now) {
  const Rung* cached = ladder.cached();
  if (cached == nullptr || !cached->shared_as.empty()) return;
  const bool whole = answer.finish_reason == FinishReason::stop || answer.finish_reason == FinishReason::tool_calls;
  if (!whole || answer.degradation || answer.parts.empty()) return;
  try {
    cached->answers->put(key_of(*cached, request), answer, now, saturating_add(now, cached->max_age));
  } catch (const std::bad_alloc&) {  // the answer stands without being kept
  }
}

}  // namespace backstop::inline v0::detail
