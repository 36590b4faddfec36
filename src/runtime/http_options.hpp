#pragma once

#include <optional>
#include <string_view>

#include "backstop/runtime/http_options.hpp"

namespace backstop::inline v0::detail {

/// An entry of `HttpOptions::resolve`.
struct Resolution {
  std::string_view host;
  std::string_view port;
  std::string_view address;       ///< without brackets
  std::string_view address_port;  ///< empty: the same
};
[[nodiscard]] std::optional<Resolution> read_resolution(std::string_view text);

}  // namespace backstop::inline v0::detail
