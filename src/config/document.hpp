#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

inline constexpr std::size_t largest_policy_file = std::size_t{1} << 20U;

/// The text of a policy file as JSON.
///
/// Errors: too large, broken (with line and column), a key that stands twice in an object. And a key to a provider's
/// door anywhere in it: found first, and never quoted, so that later complaints may quote what they are about.
[[nodiscard]] Result<nlohmann::ordered_json> parse_document(std::string_view text);

/// Whether something of that name holds a key: `api_key`, `authorization`, `x-auth-token`.
[[nodiscard]] bool names_secret(std::string_view name);

}  // namespace backstop::inline v0::detail
