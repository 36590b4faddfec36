#include "backstop/runtime/http_options.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::array<std::string_view, 6> proxy_schemes{"http://",   "https://",   "socks4://",
                                                        "socks4a://", "socks5://", "socks5h://"};

[[nodiscard]] bool is_proxy(std::string_view text) noexcept {
  if (text.empty() || text == "environment" || text == "none") return true;
  return std::any_of(proxy_schemes.begin(), proxy_schemes.end(), [text](std::string_view scheme) {
    return text.size() > scheme.size() && detail::equal_ignoring_case(text.substr(0, scheme.size()), scheme);
  });
}

/// "host:port:address", the address of whatever family.
[[nodiscard]] bool is_resolution(std::string_view text) noexcept {
  const std::size_t host = text.find(':');
  if (host == 0 || host == std::string_view::npos) return false;
  const std::string_view rest = text.substr(host + 1);
  const std::size_t port = rest.find(':');
  if (port == 0 || port == std::string_view::npos || port + 1 == rest.size() || port > 5) return false;
  return std::all_of(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(port),
                     [](char digit) { return digit >= '0' && digit <= '9'; });
}

}  // namespace

std::string problem_with(const HttpOptions& options) {
  if (!is_proxy(options.proxy)) {  // not quoted: it may hold a password
    return "HttpOptions::proxy must be an address such as http://proxy:3128 or socks5h://127.0.0.1:1080, "
           "\"environment\" or \"none\"";
  }
  if (!options.client_key.empty() && options.client_certificate.empty()) {
    return "HttpOptions::client_key is set without a client_certificate";
  }
  for (const std::string& one : options.resolve) {
    if (is_resolution(one)) continue;
    return fmt::format("HttpOptions::resolve has \"{}\"; it must be host:port:address", one);
  }
  for (const auto& [name, number] : {std::pair{"connections_per_host", options.connections_per_host},
                                     std::pair{"connections", options.connections},
                                     std::pair{"idle_connections", options.idle_connections}}) {
    if (number < 0) return fmt::format("HttpOptions::{} is {}; it must not be negative", name, number);
  }
  return {};
}

}  // namespace backstop::inline v0
