#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/runtime/http_options.hpp"

namespace backstop::inline v0::detail {

/// The options that are texts, by name.
struct HttpText {
  std::string_view name;
  std::string HttpOptions::*member;
};
inline constexpr std::array http_texts{
    HttpText{"proxy", &HttpOptions::proxy},
    HttpText{"no_proxy", &HttpOptions::no_proxy},
    HttpText{"ca_file", &HttpOptions::ca_file},
    HttpText{"ca_folder", &HttpOptions::ca_folder},
    HttpText{"client_certificate", &HttpOptions::client_certificate},
    HttpText{"client_key", &HttpOptions::client_key},
    HttpText{"unix_socket", &HttpOptions::unix_socket},
    HttpText{"local_interface", &HttpOptions::local_interface},
    HttpText{"user_agent", &HttpOptions::user_agent}};

/// An entry of `HttpOptions::resolve`.
struct Resolution {
  std::string_view host;
  std::string_view port;
  std::string_view address;       ///< without brackets
  std::string_view address_port;  ///< empty: the same
};
[[nodiscard]] std::optional<Resolution> read_resolution(std::string_view text);

}  // namespace backstop::inline v0::detail
