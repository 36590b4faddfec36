#include "renewing_provider.hpp"

#include <cstdint>
#include <utility>

namespace backstop::inline v0::detail {

RenewingProvider::RenewingProvider(Credentials credentials, std::unique_ptr<const HttpModelProvider> next)
    : credentials_{std::move(credentials)},
      key_{credentials_.empty() ? nullptr : KeyRing::of(credentials_).renewed()},
      next_{std::move(next)} {}

Task<Result<ChatResponse>> RenewingProvider::call(const ChatRequest& request, CallContext& context) const {
  const std::uint64_t key = key_ != nullptr ? key_->number() : 0;
  const Duration clock = next_->server_clock_ahead();
  auto result = co_await next_->call(request, context);
  const bool refused = !result && result.error().kind == ErrorKind::authentication && result.error().http_status != 0;
  if (!refused) co_return result;
  if (next_->server_clock_ahead() == clock) {
    // A key that was fetched for this very call will not be better the next time.
    if (key == 0) co_return result;
    key_->drop(key);
  }
  if (context.stopping() || context.committed() || context.spare_sends() <= 0) co_return result;
  auto repeated = co_await next_->call(request, context);
  co_return repeated;
}

Layer RenewingProvider::layer() const {
  Layer layer = next_->layer();
  layer.sends = 2;
  return layer;
}

}  // namespace backstop::inline v0::detail
