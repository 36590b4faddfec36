#pragma once

#include <string_view>

namespace backstop::inline v0::detail {

/// The environment variable that tells how requests to Bedrock are authorised: that of the API key where it is set,
/// else that of the access key's id where that one is.
[[nodiscard]] std::string_view bedrock_key_variable() noexcept;

}  // namespace backstop::inline v0::detail
