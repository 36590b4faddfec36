#include "runtime/http_options.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::array<std::string_view, 6> proxy_schemes{"http://",   "https://",   "socks4://",
                                                        "socks4a://", "socks5://", "socks5h://"};

/// As libcurl will read it.
[[nodiscard]] bool is_proxy(const std::string& text) noexcept {
  if (text.empty() || text == "environment" || text == "none") return true;
  const bool has_scheme = std::any_of(proxy_schemes.begin(), proxy_schemes.end(), [&](std::string_view scheme) {
    return text.size() > scheme.size() &&
           detail::equal_ignoring_case(std::string_view{text}.substr(0, scheme.size()), scheme);
  });
  if (!has_scheme) return false;
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url{curl_url(), &curl_url_cleanup};
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) return false;
  char* path = nullptr;  // one would be a password with a slash in it
  if (curl_url_get(url.get(), CURLUPART_PATH, &path, 0) != CURLUE_OK) return false;
  const bool plain = std::string_view{path}.size() <= 1;
  curl_free(path);
  return plain;
}

/// Between zero and 65535, in digits.
[[nodiscard]] bool is_port(std::string_view text) noexcept {
  unsigned number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc{} && end == text.data() + text.size() && number <= 65'535;
}

[[nodiscard]] bool has_control_characters(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

}  // namespace

std::optional<detail::Resolution> detail::read_resolution(std::string_view text) {
  const std::size_t host = text.find(':');
  if (host == 0 || host == std::string_view::npos || has_control_characters(text)) return std::nullopt;
  if (text.front() == '*' || text.front() == '+' || text.front() == '-') return std::nullopt;
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
  for (const detail::HttpText& text : detail::http_texts) {
    if (!has_control_characters(options.*text.member)) continue;
    return fmt::format("HttpOptions::{} must not hold line breaks or other control characters", text.name);
  }
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
