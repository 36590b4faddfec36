#include "backstop/policies/intercept.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/emit_answer.hpp"
#include "runtime/restart_sink.hpp"

namespace backstop::inline v0 {
namespace {

/// Whether an answer was streamed as it came; what further out keeps back of it may be forgotten again.
class Streamed final : public ForwardingSink {
 public:
  explicit Streamed(StreamSink& consumer) noexcept : ForwardingSink{consumer} {}

  void on_event(const StreamEvent& event) noexcept override {
    seen_ = seen_ || event.is_content();
    next().on_event(event);
  }
  void on_attempt(const Target& target) noexcept override {
    seen_ = seen_ && !next().holding();
    next().on_attempt(target);
  }
  void on_attempt_failed() noexcept override {
    seen_ = seen_ && !next().holding();
    next().on_attempt_failed();
  }
  [[nodiscard]] bool seen() const noexcept { return seen_; }

 private:
  bool seen_ = false;
};

/// The next provider, as `around` calls it. What an earlier call has streamed is void where there is another.
class NextOfAround final : public Decorator {
 public:
  explicit NextOfAround(Provider next) : Decorator{std::move(next), {}} {}

  [[nodiscard]] std::string describe() const override { return next().describe(); }
  [[nodiscard]] Layer layer() const override { return next().get().layer(); }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.streaming() && context.committed()) return call_again(request, context);
    if (context.streaming()) context.sink()->on_attempt_failed();  // what an earlier call wrote, and nobody has seen
    return next().call(request, context);
  }

 private:
  Task<Result<ChatResponse>> call_again(const ChatRequest& request, CallContext& outer) const {
    if (outer.branch().tool_call_delivered()) {
      Error error{ErrorKind::invalid_request, "called again after a tool call has reached the consumer"};
      error.target = target();
      error.committed = true;
      co_return error;
    }
    CallContext context = outer;
    detail::RestartSink sink{*outer.sink()};
    sink.announce();
    context.set_sink(&sink);
    outer.branch().take_back();
    Task<Result<ChatResponse>> task = next().call(request, context);
    auto result = co_await task;
    if (result) {
      sink.begin_anew();  // an answer without any content
    } else if (sink.pending()) {
      outer.branch().commit(false);  // what came before stands
      result.error().committed = true;
    }
    co_return result;
  }
};

class Intercept final : public Decorator {
 public:
  Intercept(Provider next, const std::shared_ptr<const InterceptOptions>& options, std::string description)
      : Decorator{std::move(next), std::move(description)}, options_{options} {
    if (options_->around) around_next_.emplace(std::make_shared<const NextOfAround>(Decorator::next()));
  }

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    RequestEdit edit{request, target()};
    if (options_->before) {
      Result<void> passed = ask_before(edit, context);
      if (!passed) co_return refuse(std::move(passed).error(), context);
    }
    const ChatRequest& sent = *edit;
    CallContext inner = context;
    std::optional<Streamed> streamed;
    if (context.streaming()) inner.set_sink(&streamed.emplace(*context.sink()));
    const std::size_t first_row = context.state().ledger.size();
    Task<Result<ChatResponse>> task = options_->around ? go_around(sent, inner) : next().call(sent, inner);
    auto result = co_await task;
    if (options_->after) tell_after(sent, result, context);
    if (!result) {
      if (context.streaming()) context.sink()->on_attempt_failed();
      note_rejected(result.error(), first_row, context);
      co_return result;
    }
    if (result->served_by.empty()) result->served_by = target();
    if (streamed && !context.committed() && !streamed->seen()) detail::emit_answer(*result, context);
    co_return result;
  }

 private:
  [[nodiscard]] Result<void> ask_before(RequestEdit& edit, const CallContext& context) const {
    try {
      return options_->before(edit);
    } catch (...) {
      return thrown_by("before", ReplaySafety::not_sent, context);
    }
  }

  [[nodiscard]] Error refuse(Error error, const CallContext& context) const {
    if (error.target.empty()) error.target = target();
    context.note_skipped(target(), error);
    return error;
  }

  /// An answer has been replaced by an error: the row of the send says "ok", so that one more has to say why not.
  static void note_rejected(const Error& error, std::size_t first_row, const CallContext& context) {
    if (context.stopping()) return;
    const Ledger& ledger = context.state().ledger;
    const Attempt* answered = nullptr;
    for (std::size_t row = first_row; row < ledger.size(); ++row) {
      if (!ledger[row].outcome) answered = &ledger[row];
      const bool is_its_own = ledger[row].outcome == error.kind && ledger[row].reason.starts_with(error.message);
      if (is_its_own) return;
    }
    if (answered == nullptr) return;
    const Target target = answered->target;  // the row may move
    context.note_skipped(target, error);
  }

  Task<Result<ChatResponse>> go_around(const ChatRequest& request, CallContext& context) const {
    Result<ChatResponse> result{ChatResponse{}};
    try {
      Task<Result<ChatResponse>> task = options_->around(*around_next_, request, context);
      result = co_await task;
    } catch (...) {
      result = thrown_by("around", ReplaySafety::maybe_processed, context);
    }
    co_return result;
  }

  void tell_after(const ChatRequest& request, Result<ChatResponse>& result, const CallContext& context) const {
    try {
      options_->after(request, result);
    } catch (...) {
      result = thrown_by("after", ReplaySafety::processed, context);
    }
  }

  /// The exception in flight as an error.
  [[nodiscard]] Error thrown_by(std::string_view function, ReplaySafety replay, const CallContext& context) const {
    Error error{ErrorKind::invalid_request, options_->name + ": " + std::string{function} + " threw"};
    try {
      throw;
    } catch (const BadResult& bad) {
      error = bad.error();
    } catch (const std::exception& exception) {
      error.message.append(": ").append(exception.what());
    } catch (...) {
      error.message.append(" something that is no std::exception");
    }
    if (error.target.empty()) error.target = target();
    error.replay = std::max(error.replay, replay);
    error.committed = context.committed();
    return error;
  }

  std::shared_ptr<const InterceptOptions> options_;
  std::optional<Provider> around_next_;  // where there is an `around`
};

}  // namespace

RequestEdit::RequestEdit(const ChatRequest& request, const Target& target) noexcept
    : original_{&request}, target_{&target} {}

ChatRequest& RequestEdit::edit() {
  if (!copy_) copy_.emplace(*original_);
  return *copy_;
}

Policy intercept(InterceptOptions options) {
  if (!options.before && !options.after && !options.around) {
    throw std::invalid_argument{"intercept: nothing is given; it needs `before`, `after` or `around`"};
  }
  if (options.name.empty()) throw std::invalid_argument{"intercept: the name must not be empty"};
  std::string description = options.name;
  return make_policy<Intercept>(std::move(description), std::make_shared<const InterceptOptions>(std::move(options)));
}

}  // namespace backstop::inline v0
