#pragma once

#include <string>

#include "providers/wire/provider_failure.hpp"
#include "providers/wire/repairs.hpp"

namespace backstop::inline v0::detail {

/// What a refusal says that the server does not take; nothing where it is about a value, or about something else.
/// For refusals with a status of 400 or 422. It may name more than the request has.
[[nodiscard]] RepairSet find_repair(const ProviderFailure& failure);

/// "temperature left out, max_completion_tokens in place of max_tokens or the other way round".
[[nodiscard]] std::string to_string_of(RepairSet repairs);

}  // namespace backstop::inline v0::detail
