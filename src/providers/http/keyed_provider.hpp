#pragma once

#include <memory>
#include <vector>

#include "backstop/provider.hpp"
#include "key_ring.hpp"

namespace backstop::inline v0::detail {

/// One target with several keys: a provider for each, of which the first that is ready is called, and the next when the
/// key turns out not to be.
class KeyedProvider final : public ChatProvider {
 public:
  /// As many providers as there are keys, in their order, all of the same target.
  KeyedProvider(Credentials credentials, std::vector<std::unique_ptr<const ChatProvider>> by_key);

  [[nodiscard]] const Target& target() const noexcept override { return by_key_.front()->target(); }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override;
  [[nodiscard]] Layer layer() const override;

 private:
  [[nodiscard]] Error all_out(const KeyRing::Soonest& soonest, TimePoint now) const;
  [[nodiscard]] Error for_all_keys(Error error, TimePoint now) const;

  Credentials credentials_;
  const KeyRing* ring_;  ///< behind `credentials_`
  std::vector<std::unique_ptr<const ChatProvider>> by_key_;
};

}  // namespace backstop::inline v0::detail
