#pragma once

#include <string_view>

namespace backstop::inline v0::detail {

/// GOOGLE_API_KEY where it is set, as with Google's own SDKs; else GEMINI_API_KEY.
[[nodiscard]] std::string_view gemini_key_variable() noexcept;

}  // namespace backstop::inline v0::detail
