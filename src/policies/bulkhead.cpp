#include "backstop/policies/bulkhead.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "backstop/handover/needs.hpp"
#include "runtime/wait_for_turn.hpp"

namespace backstop::inline v0 {
namespace {

[[nodiscard]] ConcurrencyVerdict verdict_on_load(const Result<ChatResponse>& result) noexcept {
  if (result) return ConcurrencyVerdict::success;
  const Error& error = result.error();
  if (error.timeout_limit == TimeoutLimit::deadline_share || error.timeout_limit == TimeoutLimit::client_deadline) {
    return ConcurrencyVerdict::ignored;
  }
  const ErrorKind kind = error.cause.value_or(error.kind);
  if (kind == ErrorKind::rate_limited || kind == ErrorKind::overloaded || kind == ErrorKind::timeout) {
    return ConcurrencyVerdict::dropped;
  }
  // The provider did its job, though the answer is not wanted.
  return traits_of(kind).breaker == BreakerVerdict::success ? ConcurrencyVerdict::success : ConcurrencyVerdict::ignored;
}

/// Marks a permit that was taken further out.
class InUse {
 public:
  explicit InUse(const HeldHandle& held) noexcept : held_{&held} { held.in_use = true; }
  ~InUse() { held_->in_use = false; }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  const HeldHandle* held_;
};

class Bulkhead final : public Decorator {
 public:
  Bulkhead(Provider next, ConcurrencyLimit limit, std::string description)
      : Decorator{std::move(next), std::move(description)}, limit_{std::move(limit)} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    const HeldHandle held{limit_.id(), context.held()};
    CallContext inner = context;
    inner.set_held(held);
    // One call at a time: of two beside each other, as with a hedge, the second needs a permit of its own.
    if (const HeldHandle* outer = find_held(context.held(), limit_.id()); outer != nullptr && !outer->in_use) {
      const InUse use{*outer};
      auto passed = co_await next().call(request, inner);
      co_return passed;
    }
    ConcurrencyPermit permit{limit_, context.now(), context.deadline(), context.hint().other_ready};
    if (permit.stage() == ConcurrencyPermit::Stage::waiting) {
      Task<Result<void>> turn = detail::wait_for_turn(permit, context, target(), "bulkhead");
      auto waited = co_await turn;
      if (!waited) {
        waited.error().target = target();
        co_return std::move(waited).error();
      }
    }
    if (permit.stage() == ConcurrencyPermit::Stage::refused) co_return refuse(context);
    auto result = co_await next().call(request, inner);
    permit.release(verdict_on_load(result));
    co_return result;
  }

  // When a permit will be free nobody knows: that may change at any moment.
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (!standing.fit() || is_held(needs.held, limit_.id()) || !limit_.full()) return standing;
    standing.put_off(now, ErrorKind::local_limit, "too many sends are under way at once");
    return standing;
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.handle = limit_.id();
    return layer;
  }

 private:
  // Refusals are many when a limit is used up: fixed words, no formatting.
  [[nodiscard]] Error refuse(const CallContext& context) const {
    Error error{ErrorKind::local_limit, "too many sends are under way at once"};
    error.target = target();
    context.note_skipped(target(), error);
    return error;
  }

  ConcurrencyLimit limit_;
};

[[nodiscard]] std::string described(const char* name, const ConcurrencyLimit& limit) {
  return std::string{name} + "(" + limit.description() + ")";
}

/// One limit for each provider that the policy is put around.
template <class Options>
[[nodiscard]] Policy one_each(const char* name, const Options& options) {
  const std::string description = described(name, ConcurrencyLimit{options});
  return Policy{description, [options, description](Provider next) {
                  return Provider{
                      std::make_shared<const Bulkhead>(std::move(next), ConcurrencyLimit{options}, description)};
                }};
}

}  // namespace

Policy bulkhead(BulkheadOptions options) { return one_each("bulkhead", options); }
Policy adaptive_concurrency(AdaptiveConcurrencyOptions options) { return one_each("adaptive_concurrency", options); }

Policy bulkhead(ConcurrencyLimit limit) {
  std::string description = described("bulkhead", limit);
  return make_policy<Bulkhead>(std::move(description), std::move(limit));
}
Policy adaptive_concurrency(ConcurrencyLimit limit) {
  std::string description = described("adaptive_concurrency", limit);
  return make_policy<Bulkhead>(std::move(description), std::move(limit));
}

}  // namespace backstop::inline v0
