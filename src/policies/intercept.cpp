#include "backstop/policies/intercept.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/emit_answer.hpp"

namespace backstop::inline v0 {
namespace {

/// Whether an answer was streamed as it came; it may be kept back further out, so that nothing has been delivered yet.
class Streamed final : public ContentListener {
 public:
  void on_first_content(TimePoint) noexcept override { seen_ = true; }
  [[nodiscard]] bool seen() const noexcept { return seen_; }

 private:
  bool seen_ = false;
};

class Intercept final : public Decorator {
 public:
  Intercept(Provider next, const std::shared_ptr<const InterceptOptions>& options, std::string description)
      : Decorator{std::move(next), std::move(description)}, options_{options} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    RequestEdit edit{request, target()};
    if (options_->before) {
      Result<void> passed = ask_before(edit, context);
      if (!passed) co_return refuse(std::move(passed).error(), context);
    }
    const ChatRequest& sent = *edit;
    Streamed streamed;
    CallContext inner = context;
    inner.add_listener(streamed);
    Task<Result<ChatResponse>> task = options_->around ? go_around(sent, inner) : next().call(sent, inner);
    auto result = co_await task;
    if (options_->after) tell_after(sent, result, context);
    if (!result) co_return result;
    if (result->served_by.empty()) result->served_by = target();
    if (context.streaming() && !context.committed() && !streamed.seen()) detail::emit_answer(*result, context);
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

  Task<Result<ChatResponse>> go_around(const ChatRequest& request, CallContext& context) const {
    Result<ChatResponse> result{ChatResponse{}};
    try {
      Task<Result<ChatResponse>> task = options_->around(next(), request, context);
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
    error.committed = error.committed || context.committed();
    return error;
  }

  std::shared_ptr<const InterceptOptions> options_;
};

}  // namespace

Policy intercept(InterceptOptions options) {
  if (!options.before && !options.after && !options.around) {
    throw std::invalid_argument{"intercept: nothing is given; it needs `before`, `after` or `around`"};
  }
  if (options.name.empty()) throw std::invalid_argument{"intercept: the name must not be empty"};
  std::string description = options.name;
  return make_policy<Intercept>(std::move(description), std::make_shared<const InterceptOptions>(std::move(options)));
}

}  // namespace backstop::inline v0
