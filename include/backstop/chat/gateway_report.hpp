#pragma once

#include <optional>
#include <string>

#include "backstop/chat/money.hpp"

namespace backstop::inline v0 {

/// What a gateway (LiteLLM, OpenRouter, Vercel, Portkey, Claude Code Router) said of how it served a request.
struct GatewayReport {
  /// Who served it, in the gateway's words: a provider's name, or where it stands in the gateway's configuration.
  std::string served_by{};
  std::string model{};          ///< that served it, where the gateway chose another
  std::optional<Money> cost{};  ///< of the request, as the gateway counts it
  std::optional<int> attempts{};  ///< how often the gateway sent it, its own retries and fallbacks included

  friend bool operator==(const GatewayReport&, const GatewayReport&) = default;
};

}  // namespace backstop::inline v0
