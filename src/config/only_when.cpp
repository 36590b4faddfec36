#include "config/only_when.hpp"

#include <string>
#include <utility>

#include "backstop/handover/needs.hpp"

namespace backstop::inline v0::detail {
namespace {

class OnlyWhen final : public Decorator {
 public:
  OnlyWhen(Provider next, Condition condition, std::string description)
      : Decorator{std::move(next), std::move(description)}, condition_{std::move(condition)} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    const ChatRequest* whole = context.hint().whole;
    if (whole == nullptr) whole = &request;
    if (!holds(*whole, needs_of(*whole))) co_return refuse(context);
    auto result = co_await next().call(request, context);
    co_return result;
  }

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    const ChatRequest& whole = needs.whole != nullptr ? *needs.whole : request;
    const bool as_it_came = needs.whole == nullptr && !needs.reduced;
    if (as_it_came ? holds(request, needs) : holds(whole, needs_of(whole))) return standing;
    standing.verdict = Standing::Verdict::unfit;
    standing.why = ErrorKind::local_limit;
    standing.what = words;
    return standing;
  }

 private:
  static constexpr const char* words = "its `when` does not hold for this request";

  /// Of the request as it came, though a client asks for what is left of it, or for the rest of an answer. Without a
  /// request in hand, as in a snapshot, it does.
  [[nodiscard]] bool holds(const ChatRequest& whole, const Needs& needs) const noexcept {
    return whole.messages.empty() || condition_.holds(whole, needs);
  }
  [[nodiscard]] Error refuse(const CallContext& context) const {
    Error error{ErrorKind::local_limit, words};
    error.target = target();
    context.note_skipped(target(), error);
    return error;
  }

  Condition condition_;
};

}  // namespace

Policy only_when(Condition condition) {
  std::string description = "only_when(" + condition.describe() + ")";
  return make_policy<OnlyWhen>(std::move(description), std::move(condition));
}

}  // namespace backstop::inline v0::detail
