#pragma once

#include <string_view>

namespace backstop::inline v0::detail {

inline constexpr std::string_view vertex_token_variable = "GOOGLE_OAUTH_ACCESS_TOKEN";

/// The environment variable of the key: that of the access token where one is needed or where it is set, else that of
/// the API key of express mode.
[[nodiscard]] std::string_view vertex_key_variable(bool needs_token) noexcept;

/// Whether that is the name of a model that is asked over Anthropic's wire there.
[[nodiscard]] constexpr bool is_vertex_claude(std::string_view model) noexcept {
  return model.substr(model.rfind('/') + 1).starts_with("claude-");
}

}  // namespace backstop::inline v0::detail
