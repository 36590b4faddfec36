#pragma once

#include <memory>

#include "backstop/provider.hpp"
#include "key_ring.hpp"

namespace backstop::inline v0::detail {

/// One target whose key is fetched: a key that the provider refuses is fetched anew, and the request sent once more.
class RenewingProvider final : public ChatProvider {
 public:
  /// `next` sends with the key of the credentials, which are fetched ones.
  RenewingProvider(Credentials credentials, std::unique_ptr<const ChatProvider> next);

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
  RenewedKey* key_;  ///< behind `credentials_`
  std::unique_ptr<const ChatProvider> next_;
};

}  // namespace backstop::inline v0::detail
