#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/probe.hpp"
#include "backstop/policy.hpp"
#include "backstop/provider.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/scripted_step.hpp"

/// What an application may write against the public interface: providers, policies and coroutines of its own, some of
/// them careless. Used by the cases and by the programs that show them.
namespace stacks {

using backstop::CallContext;
using backstop::ChatRequest;
using backstop::ChatResponse;
using backstop::Result;
using backstop::Task;

/// Words that must never be found in an error: of the prompt, of an answer, of a key.
inline constexpr const char* prompt_mark = "PROMPT-MARK";
inline constexpr const char* answer_mark = "ANSWER-MARK";
inline constexpr const char* key_mark = "KEY-MARK";

/// The frames of the application's own coroutines that are alive; none once all calls have ended.
inline std::atomic<int> live_frames{0};
class Frame {
 public:
  Frame() noexcept { ++live_frames; }
  ~Frame() { --live_frames; }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
};

/// Writes summaries of older turns, which cost nothing, and not every time.
[[nodiscard]] inline backstop::Provider summary_writer() {
  using namespace backstop;
  ModelFacts facts;
  facts.price = Price{};
  const std::vector<testing::Step> says{testing::answer("a summary"), testing::error(ErrorKind::overloaded),
                                        testing::answer("another").after(std::chrono::seconds{1}),
                                        testing::error(ErrorKind::content_filtered)};
  return testing::ScriptedProvider{Target{"summary", "m", facts}, says};
}

/// A quality floor by its level: accepts every answer, refuses every one, has those repaired that are long, or asks a
/// judge, which costs nothing and says yes and no by turns.
[[nodiscard]] inline backstop::Policy quality_floor(int level) {
  using namespace backstop;
  switch (level) {
    case 1: return accept_if(!length_between(0, 1'000'000));
    case 2: return accept_if(length_between(0, 60), {.repair = 1});
    case 3: {
      ModelFacts facts;
      facts.price = Price{};
      const std::vector<testing::Step> says{testing::answer("yes"), testing::answer("no, not that").after(std::chrono::seconds{1}),
                                            testing::answer("yes"), testing::error(ErrorKind::overloaded)};
      const testing::ScriptedProvider judge{Target{"judge", "m", facts}, says};
      return accept_if(finished() && judged_by(judge, "Good?", {.on_failure = JudgeFailure::reject}), {.repair = 1});
    }
    default: return accept_if(length_between(0, 1'000'000));
  }
}

[[nodiscard]] inline ChatResponse own_answer(std::string text) {
  ChatResponse response;
  response.parts.emplace_back(backstop::Text{std::move(text)});
  response.finish_reason = backstop::FinishReason::stop;
  response.usage.input_tokens = 3;
  response.usage.output_tokens = 2;
  return response;
}

/// `weighted`, with as many of the weights as there are candidates.
[[nodiscard]] inline backstop::Strategy weights(std::vector<std::int64_t> all) {
  std::string description = "weights(cut)";
  return backstop::Strategy{std::move(description), [all = std::move(all)](std::size_t candidates) {
                              std::vector<std::int64_t> cut = all;
                              cut.resize(candidates, 1);
                              return backstop::weighted(std::move(cut)).make(candidates);
                            }};
}

/// Turns the order round, and throws in the middle of every third time.
[[nodiscard]] inline backstop::Strategy throwing_strategy() {
  return backstop::choose_by("throwing", [](backstop::Choice& choice) {
    choice.prefer(choice.size() - 1);
    if (choice.random() < 0.3) throw std::runtime_error{"strategy threw"};
    for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) choice.prefer(candidate);
  });
}

/// A model in the application itself.
class OwnProvider final : public backstop::ModelProvider {
 public:
  enum class Does : std::uint8_t { answers, throws, throws_plain, emits, claims };

  OwnProvider(backstop::Target target, Does does)
      : ModelProvider{std::move(target)}, does_{does}, sends_{std::make_shared<Sends>()} {}

  [[nodiscard]] std::size_t send_count() const { return requests().size(); }
  [[nodiscard]] std::vector<ChatRequest> requests() const {
    const std::lock_guard lock{sends_->mutex};
    return sends_->requests;
  }

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    {
      const std::lock_guard lock{sends_->mutex};
      sends_->requests.push_back(request);
    }
    if (does_ == Does::throws_plain) throw std::runtime_error{"the application's provider threw at once"};
    return answer(context);
  }

 private:
  struct Sends {
    std::mutex mutex;
    std::vector<ChatRequest> requests;
  };

  Task<Result<ChatResponse>> answer(CallContext& context) const {
    const Frame frame;
    backstop::Sleep thinking = context.sleep(std::chrono::milliseconds{5});
    auto thought = co_await thinking;
    if (!thought) co_return std::move(thought).error();
    if (does_ == Does::throws) throw std::runtime_error{"the application's provider threw"};
    if (does_ == Does::claims) {
      backstop::Error error{backstop::ErrorKind::server_error, "the application's provider failed"};
      error.replay = backstop::ReplaySafety::maybe_processed;
      error.committed = true;
      error.partial_text = "ANSWER-MARK of somebody else";
      backstop::StreamEvent end;
      end.type = backstop::StreamEvent::Type::failed;
      end.error = &error;
      context.deliver(end);
      co_return error;
    }
    ChatResponse response = own_answer("ANSWER-MARK of our own");
    if (does_ == Does::emits || context.streaming()) {
      backstop::StreamEvent event;
      event.delta = "ANSWER-MARK of our own";
      context.deliver(event);
    }
    co_return response;
  }

  Does does_;
  std::shared_ptr<Sends> sends_;
};

// For `intercept({.around = ...})`.

inline Task<Result<ChatResponse>> once(const backstop::Provider& next, const ChatRequest& request,
                                       CallContext& context) {
  const Frame frame;
  Task<Result<ChatResponse>> task = next.call(request, context);
  auto result = co_await task;
  co_return result;
}

inline Task<Result<ChatResponse>> again(const backstop::Provider& next, const ChatRequest& request,
                                        CallContext& context) {
  const Frame frame;
  Task<Result<ChatResponse>> first = next.call(request, context);
  auto result = co_await first;
  if (result || context.committed() || context.stopping()) co_return result;
  Task<Result<ChatResponse>> second = next.call(request, context);
  result = co_await second;
  co_return result;
}

inline Task<Result<ChatResponse>> sleeps_first(const backstop::Provider& next, const ChatRequest& request,
                                               CallContext& context) {
  const Frame frame;
  backstop::Sleep sleep = context.sleep(std::chrono::milliseconds{300});
  auto slept = co_await sleep;
  if (!slept) co_return std::move(slept).error();
  Task<Result<ChatResponse>> task = next.call(request, context);
  auto result = co_await task;
  co_return result;
}

inline Task<Result<ChatResponse>> never(const backstop::Provider&, const ChatRequest&, CallContext&) {
  const Frame frame;
  co_return own_answer("ANSWER-MARK in its place");
}

inline Task<Result<ChatResponse>> refuses(const backstop::Provider&, const ChatRequest&, CallContext&) {
  const Frame frame;
  co_return backstop::Error{backstop::ErrorKind::local_limit, "not today"};
}

inline Task<Result<ChatResponse>> throws_before(const backstop::Provider&, const ChatRequest&, CallContext&) {
  throw std::runtime_error{"the application's around threw at once"};
}

inline Task<Result<ChatResponse>> throws_after(const backstop::Provider& next, const ChatRequest& request,
                                               CallContext& context) {
  const Frame frame;
  Task<Result<ChatResponse>> task = next.call(request, context);
  auto result = co_await task;
  if (result) throw std::runtime_error{"the application's around threw after an answer"};
  co_return result;
}

/// A policy of the application's own.
class OwnDecorator final : public backstop::Decorator {
 public:
  enum class Does : std::uint8_t { passes, again, throws };

  OwnDecorator(backstop::Provider next, Does does, std::string description)
      : Decorator{std::move(next), std::move(description)}, does_{does} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    const Frame frame;
    Task<Result<ChatResponse>> task = does_ == Does::again ? stacks::again(next(), request, context)
                                                           : next().call(request, context);
    auto result = co_await task;
    if (does_ == Does::throws && !result) throw std::runtime_error{"the application's policy threw"};
    co_return result;
  }

 private:
  Does does_;
};

/// Answers the probes of what stands around it, so that these send nothing.
class AnswersProbes final : public backstop::Decorator {
 public:
  AnswersProbes(backstop::Provider next, bool well, std::string description)
      : Decorator{std::move(next), std::move(description)}, well_{well} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.state().active_probe) {  // may be under way when all calls have ended
      backstop::Sleep sleep = context.sleep(std::chrono::milliseconds{70});
      auto slept = co_await sleep;
      if (!slept) co_return std::move(slept).error();
      if (!well_) co_return backstop::Error{backstop::ErrorKind::overloaded, "the probe failed"};
      co_return own_answer("pong");
    }
    const Frame frame;
    Task<Result<ChatResponse>> task = next().call(request, context);
    auto result = co_await task;
    co_return result;
  }

 private:
  bool well_;
};

/// `probe`, whose probes all succeed or all fail.
[[nodiscard]] inline backstop::Policy probed(bool well) {
  return backstop::make_policy<AnswersProbes>(std::string{"answers_probes"}, well) |
         backstop::probe({.every = std::chrono::seconds{10}});
}

[[nodiscard]] inline backstop::Policy own_policy(OwnDecorator::Does does) {
  return backstop::make_policy<OwnDecorator>(std::string{"own"}, does);
}

/// A streamed answer of that many pieces, all the same.
[[nodiscard]] inline backstop::testing::Step pieces(int count, const std::string& piece,
                                                    backstop::Duration gap = backstop::Duration{0}) {
  backstop::testing::Step step;
  for (int i = 0; i < count; ++i) {
    if (i > 0 && gap > backstop::Duration{0}) step.wait(gap);
    step.text(piece);
  }
  step.finish();
  return step;
}

/// A coroutine of the application's own kind, which owns its frame: destroying the object destroys the coroutine, also
/// while it waits.
class Coroutine {
 public:
  struct promise_type {
    Coroutine get_return_object() { return Coroutine{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  Coroutine(Coroutine&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
  Coroutine& operator=(Coroutine&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Coroutine() {
    if (handle_) handle_.destroy();
  }
  [[nodiscard]] bool done() const noexcept { return handle_.done(); }

 private:
  explicit Coroutine(std::coroutine_handle<promise_type> handle) noexcept : handle_{handle} {}
  std::coroutine_handle<promise_type> handle_;
};

inline Coroutine ask(const backstop::FallbackClient& client, const ChatRequest& request,
                     const backstop::CallOptions& options, std::optional<Result<ChatResponse>>& answer) {
  const Frame frame;
  backstop::AsyncCall call = client.chat_async(request, options);
  auto result = co_await call;
  answer.emplace(std::move(result));
}

}  // namespace stacks
