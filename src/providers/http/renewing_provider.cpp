#include "renewing_provider.hpp"

#include <utility>

#include "backstop/runtime/attempt_observer.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Whether the send below was refused for what its provider has mended.
class Mended final : public AttemptObserver {
 public:
  void on_end(Send& send, const Attempt* row) noexcept override { mended_ = row != nullptr && send.mended; }
  [[nodiscard]] bool mended() const noexcept { return mended_; }

 private:
  bool mended_ = false;
};

}  // namespace

RenewingProvider::RenewingProvider(std::unique_ptr<const HttpModelProvider> next) : next_{std::move(next)} {}

Task<Result<ChatResponse>> RenewingProvider::call(const ChatRequest& request, CallContext& context) const {
  Mended send;
  CallContext inner = context;
  inner.add_observer(send);
  auto result = co_await next_->call(request, inner);
  if (!send.mended() || context.stopping() || context.committed() || context.spare_sends() <= 0) co_return result;
  auto repeated = co_await next_->call(request, context);
  co_return repeated;
}

Layer RenewingProvider::layer() const {
  Layer layer = next_->layer();
  layer.sends = 2;
  return layer;
}

}  // namespace backstop::inline v0::detail
