#pragma once

#include "backstop/chat/usage.hpp"
#include "providers/wire/json_document.hpp"

namespace backstop::inline v0::detail {

/// Reads the `usage` object of a chat completion, whoever sent it, into canonical totals. A later one replaces an
/// earlier one; anything but an object changes nothing.
///
/// xAI counts reasoning beside `completion_tokens`, and where more tokens are cached than there are in `prompt_tokens`,
/// the cached ones beside those. It is told by the numbers, because gateways pass it on under other names.
void read_openai_usage(const JsonElement& element, Usage& usage) noexcept;

}  // namespace backstop::inline v0::detail
