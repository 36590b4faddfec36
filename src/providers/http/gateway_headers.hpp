#pragma once

#include <optional>

#include "backstop/chat/gateway_report.hpp"
#include "backstop/runtime/http_transport.hpp"

namespace backstop::inline v0::detail {

/// What the headers of LiteLLM, Portkey and Claude Code Router say of how they served a request: in words of theirs,
/// not masked and of any length.
[[nodiscard]] GatewayReport gateway_report(const HttpResponseHead& head);

/// A cost in dollars as a gateway may report it; empty for what cannot be one.
[[nodiscard]] std::optional<Money> reported_cost(double dollars) noexcept;

}  // namespace backstop::inline v0::detail
