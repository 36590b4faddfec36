#pragma once

#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {

/// Whether every call to the provider is answered by a send of its request to one target.
[[nodiscard]] inline bool sends_to_one_target(const ChatProvider& provider) {
  const Layer layer = provider.layer();
  if (layer.pool != nullptr) return false;  // of one target only, it may send less of the request all the same
  if (layer.around.empty()) return layer.model;  // else a class of the application's, and who knows
  return layer.around.size() == 1 && !layer.answers && sends_to_one_target(*layer.around.front());
}

/// Whether a call to the provider may get what another one sends for.
[[nodiscard]] inline bool may_share_sends(const ChatProvider& provider) {
  const Layer layer = provider.layer();
  if (layer.pool != nullptr || layer.around.size() != 1) return false;
  return layer.shares || may_share_sends(*layer.around.front());
}

}  // namespace backstop::inline v0::detail
