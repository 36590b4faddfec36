#pragma once

#include <optional>

#include "backstop/chat/gateway_report.hpp"
#include "backstop/chat/usage.hpp"
#include "providers/wire/json_document.hpp"

namespace backstop::inline v0::detail {

/// Reads the `usage` object of a chat completion, whoever sent it, into canonical totals. A later one replaces an
/// earlier one; anything but an object changes nothing.
///
/// xAI counts reasoning beside `completion_tokens`, and where more tokens are cached than there are in `prompt_tokens`,
/// the cached ones beside those. It is told by the numbers, because gateways pass it on under other names.
void read_openai_usage(const JsonElement& element, Usage& usage) noexcept;

/// Reads what the `usage` object says of the price: `cost` in dollars, to which OpenRouter adds what the application's
/// own key was charged with (`is_byok`). Perplexity has an object there.
void read_openai_cost(const JsonElement& usage, GatewayReport& report) noexcept;

/// A number of dollars, or the text of one, as Vercel has it.
[[nodiscard]] std::optional<double> as_dollars(const JsonElement& element) noexcept;

}  // namespace backstop::inline v0::detail
