#pragma once

#include <memory>

#include "backstop/provider.hpp"
#include "http_engine.hpp"

namespace backstop::inline v0::detail {

/// One target whose key is fetched or signs. Where a refusal has been mended (`AttemptProgress::mended`), the request
/// is sent once more: with a key that is fetched anew, or signed by the server's clock where the machine's is wrong.
class RenewingProvider final : public ChatProvider {
 public:
  explicit RenewingProvider(std::unique_ptr<const HttpModelProvider> next);

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
  std::unique_ptr<const HttpModelProvider> next_;
};

}  // namespace backstop::inline v0::detail
