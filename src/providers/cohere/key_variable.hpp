#pragma once

#include <string_view>

namespace backstop::inline v0::detail {

/// CO_API_KEY where it is set, as with Cohere's own SDKs; else COHERE_API_KEY.
[[nodiscard]] std::string_view cohere_key_variable() noexcept;

}  // namespace backstop::inline v0::detail
