#pragma once

#include <string_view>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

/// Whether a header field carries a key by its name: such fields are never forwarded from the application's own
/// requests, and their values are masked in errors.
[[nodiscard]] constexpr bool carries_secret(std::string_view name) noexcept {
  for (const std::string_view secret : {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key",
                                        "cookie", "x-amz-security-token", "cf-aig-authorization", "x-portkey-api-key",
                                        "x-portkey-virtual-key"}) {
    if (equal_ignoring_case(name, secret)) return true;
  }
  return false;
}

}  // namespace backstop::inline v0::detail
