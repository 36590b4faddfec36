#include "backstop/providers/function.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <variant>

#include "runtime/emit_answer.hpp"
#include "worker_call.hpp"

namespace backstop::inline v0::detail {
namespace {

/// What every answer of a function has in the end, whatever the function left out.
[[nodiscard]] Result<ChatResponse> completed(ChatResponse answer, const Target& target) {
  bool has_content = false;
  bool has_calls = false;
  std::size_t number = 0;
  for (Part& part : answer.parts) {
    if (const auto* text = std::get_if<Text>(&part)) has_content = has_content || !text->text.empty();
    if (auto* reasoning = std::get_if<Reasoning>(&part)) {
      has_content = true;
      if (reasoning->origin.empty()) reasoning->origin = target;
    }
    if (auto* call = std::get_if<ToolCall>(&part)) {
      has_calls = true;
      ++number;
      if (call->id.empty()) call->id = "call_" + std::to_string(number);
    }
  }
  const bool may_be_empty = answer.finish_reason == FinishReason::length ||
                            answer.finish_reason == FinishReason::context_full ||
                            answer.finish_reason == FinishReason::paused;
  if (!has_content && !has_calls && !may_be_empty) {
    Error error{ErrorKind::malformed_response, "the answer is empty: no text, no reasoning, no tool call"};
    error.replay = ReplaySafety::processed;
    return error;
  }
  if (!answer.finish_reason) answer.finish_reason = has_calls ? FinishReason::tool_calls : FinishReason::stop;
  if (answer.model.empty()) answer.model = target.model();
  answer.served_by = target;
  return answer;
}

/// A failure or refusal of what the function stands for, as against what is wrong with the request or on this side.
[[nodiscard]] bool is_of_the_model(ErrorKind kind) noexcept {
  const ErrorTraits& traits = traits_of(kind);
  return traits.breaker == BreakerVerdict::failure || traits.cooldown == CooldownRule::hint;
}

/// The function's answer as the provider's, streamed where that is wanted and the function has not done so.
[[nodiscard]] Result<ChatResponse> deliver(Result<ChatResponse> answer, const Target& target,
                                           const CallContext& context) {
  if (context.stopping()) return context.stop_error();
  if (!answer) {
    context.progress()->counts = is_of_the_model(answer.error().kind);
    return answer;
  }
  answer = completed(*std::move(answer), target);
  if (!answer) return answer;
  const AttemptProgress* progress = context.progress();
  const bool emitted = progress != nullptr && AttemptProgress::reached(progress->first_content);
  if (context.streaming() && !emitted) {
    emit_answer(*answer, context);
  }
  return answer;
}

class AsyncFunctionProvider final : public ModelProvider {
 public:
  AsyncFunctionProvider(Target target, ProviderFunction function)
      : ModelProvider{std::move(target)}, function_{std::move(function)} {}

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    Result<ChatResponse> answer{ChatResponse{}};
    try {
      Task<Result<ChatResponse>> task = function_(request, context);
      answer = co_await task;
    } catch (...) {
      answer = error_from_exception("the provider's function");
    }
    co_return deliver(std::move(answer), target(), context);
  }

  ProviderFunction function_;
};

class QuickFunctionProvider final : public ModelProvider {
 public:
  QuickFunctionProvider(Target target, AnswerFunction function)
      : ModelProvider{std::move(target)}, function_{std::move(function)} {}

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    co_return deliver(answer(request), target(), context);
  }
  [[nodiscard]] Result<ChatResponse> answer(const ChatRequest& request) const {
    try {
      return function_(request);
    } catch (...) {
      return error_from_exception("the provider's function");
    }
  }

  AnswerFunction function_;
};

class BlockingFunctionProvider final : public ModelProvider {
 public:
  BlockingFunctionProvider(Target target, BlockingFunction function)
      : ModelProvider{std::move(target)}, function_{std::move(function)} {}

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    WorkerCall worker{function_, request, context};
    Result<ChatResponse> answer = co_await worker;
    co_return deliver(std::move(answer), target(), context);
  }

  BlockingFunction function_;
};

}  // namespace

Provider function_provider(Target target, ProviderFunction function) {
  return Provider{std::make_shared<const AsyncFunctionProvider>(std::move(target), std::move(function))};
}

Provider function_provider(Target target, AnswerFunction function) {
  return Provider{std::make_shared<const QuickFunctionProvider>(std::move(target), std::move(function))};
}

Provider function_provider(Target target, BlockingFunction function) {
  return Provider{std::make_shared<const BlockingFunctionProvider>(std::move(target), std::move(function))};
}

Target function_target(std::string_view name) {
  return name.find('/') == std::string_view::npos ? Target{"local", name} : Target::parse(name);
}

ChatResponse text_answer(std::string text) {
  ChatResponse answer;
  answer.parts.emplace_back(Text{std::move(text)});
  return answer;
}

Result<ChatResponse> as_answer(ChatResponse answer) { return answer; }

Result<ChatResponse> as_answer(Error error) { return error; }

Result<ChatResponse> as_answer(Result<ChatResponse> answer) { return answer; }

Result<ChatResponse> as_answer(std::string text) { return text_answer(std::move(text)); }

Result<ChatResponse> as_answer(Result<std::string> text) {
  if (!text) return std::move(text).error();
  return text_answer(*std::move(text));
}

}  // namespace backstop::inline v0::detail
