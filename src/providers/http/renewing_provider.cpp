#include "renewing_provider.hpp"

#include <cstdint>
#include <utility>

namespace backstop::inline v0::detail {

RenewingProvider::RenewingProvider(Credentials credentials, std::unique_ptr<const ChatProvider> next)
    : credentials_{std::move(credentials)}, key_{KeyRing::of(credentials_).renewed()}, next_{std::move(next)} {}

Task<Result<ChatResponse>> RenewingProvider::call(const ChatRequest& request, CallContext& context) const {
  const std::uint64_t before = key_->number();
  auto result = co_await next_->call(request, context);
  const bool refused = !result && result.error().kind == ErrorKind::authentication && result.error().http_status != 0;
  // A key that was fetched for this very call will not be better the next time.
  if (!refused || before == 0) co_return result;
  key_->drop(before);
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
