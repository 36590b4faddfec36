#include "runtime/http_options.hpp"

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

/// Between zero and 65535, in digits.
[[nodiscard]] bool is_port(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char digit) { return digit >= '0' && digit <= '9'; });
}

}  // namespace

std::optional<detail::Resolution> detail::read_resolution(std::string_view text) {
  const std::size_t host = text.find(':');
  if (host == 0 || host == std::string_view::npos) return std::nullopt;
  const std::size_t port = text.find(':', host + 1);
  if (port == std::string_view::npos || !is_port(text.substr(host + 1, port - host - 1))) return std::nullopt;
  Resolution read{text.substr(0, host), text.substr(host + 1, port - host - 1), text.substr(port + 1), {}};
  const std::size_t colon = read.address.rfind(':');
  const bool bracketed = read.address.starts_with('[');
  const bool has_port = colon != std::string_view::npos &&
                        (bracketed ? colon > 0 && read.address[colon - 1] == ']' : read.address.find(':') == colon);
  if (has_port) {
    read.address_port = read.address.substr(colon + 1);
    if (!is_port(read.address_port)) return std::nullopt;
    read.address = read.address.substr(0, colon);
  }
  if (bracketed) {
    if (!read.address.ends_with(']')) return std::nullopt;
    read.address = read.address.substr(1, read.address.size() - 2);
  }
  if (read.address.empty()) return std::nullopt;
  return read;
}

std::string problem_with(const HttpOptions& options) {
  if (!is_proxy(options.proxy)) {  // not quoted: it may hold a password
    return "HttpOptions::proxy must be an address such as http://proxy:3128 or socks5h://127.0.0.1:1080, "
           "\"environment\" or \"none\"";
  }
  if (!options.client_key.empty() && options.client_certificate.empty()) {
    return "HttpOptions::client_key is set without a client_certificate";
  }
  for (const std::string& one : options.resolve) {
    if (detail::read_resolution(one)) continue;
    return fmt::format("HttpOptions::resolve has \"{}\"; it must be host:port:address, or host:port:address:port", one);
  }
  for (const auto& [name, number] : {std::pair{"connections_per_host", options.connections_per_host},
                                     std::pair{"connections", options.connections},
                                     std::pair{"idle_connections", options.idle_connections}}) {
    if (number < 0) return fmt::format("HttpOptions::{} is {}; it must not be negative", name, number);
  }
  return {};
}

}  // namespace backstop::inline v0
