#pragma once

#include "backstop/provider.hpp"
#include "providers/http/keyed_provider.hpp"

namespace backstop::inline v0::detail {

/// Whether it is what sends, with one key or with several. Not by its name, which an application's own class may have.
[[nodiscard]] inline bool is_model(const ChatProvider& provider) noexcept {
  return dynamic_cast<const ModelProvider*>(&provider) != nullptr ||
         dynamic_cast<const KeyedProvider*>(&provider) != nullptr;
}

/// Whether every call to the provider is answered by a send of its request to one target.
[[nodiscard]] inline bool sends_to_one_target(const ChatProvider& provider) {
  const Layer layer = provider.layer();
  if (layer.pool != nullptr) return false;  // of one target only, it may send less of the request all the same
  if (layer.around.empty()) return is_model(provider);  // else a class of the application's, and who knows
  return layer.around.size() == 1 && !layer.answers && sends_to_one_target(*layer.around.front());
}

}  // namespace backstop::inline v0::detail
