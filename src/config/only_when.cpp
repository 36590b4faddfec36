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
    if (!holds(request, needs_of(request))) co_return refuse(context);
    auto result = co_await next().call(request, context);
    co_return result;
  }

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (holds(request, needs)) return standing;
    standing.verdict = Standing::Verdict::unfit;
    standing.why = ErrorKind::local_limit;
    standing.what = words;
    return standing;
  }

 private:
  static constexpr const char* words = "its `when` does not hold for this request";

  /// Without a request in hand, as in a snapshot, it does.
  [[nodiscard]] bool holds(const ChatRequest& request, const Needs& needs) const noexcept {
    return request.messages.empty() || condition_.holds(request, needs);
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
