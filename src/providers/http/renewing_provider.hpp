#pragma once

#include <memory>

#include "backstop/provider.hpp"
#include "http_engine.hpp"
#include "key_ring.hpp"

namespace backstop::inline v0::detail {

/// One target whose key is fetched or signs. When the provider refuses the key, the request is sent once more with what
/// may be accepted: a key that is fetched anew, or a signature by the server's clock where the machine's is wrong.
class RenewingProvider final : public ChatProvider {
 public:
  /// `credentials`: those that `next` fetches its key from; none where it has one.
  RenewingProvider(Credentials credentials, std::unique_ptr<const HttpModelProvider> next);

  [[nodiscard]] const Target& target() const noexcept override { return next_->target(); }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;
  [[nodiscard]] std::string describe() const override { return next_->describe(); }
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs,
                                  TimePoint now) const noexcept override {
    return next_->standing(request, needs, now);
  }
  [[nodiscard]] TargetStatistics* keep_statistics() const override { return next_->keep_statistics(); }
  [[nodiscard]] Layer layer() const override;

 private:
  Credentials credentials_;
  RenewedKey* key_;  ///< behind `credentials_`; null without
  std::unique_ptr<const HttpModelProvider> next_;
};

}  // namespace backstop::inline v0::detail
