#include "request_headers.hpp"

#include <algorithm>
#include <cstddef>
#include <string>

#include "providers/failure/secret_headers.hpp"
#include "providers/wire/content_coding.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view trace_header = "traceparent";

bool belongs_to_connection(std::string_view name) noexcept {
  for (const std::string_view own : {"host", "connection", "content-length", "content-type", "content-encoding", "accept",
                                     "accept-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect",
                                     "keep-alive", "proxy-connection"}) {
    if (equal_ignoring_case(name, own)) return true;
  }
  return false;
}

bool is_lower_hex(std::string_view text) noexcept {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// W3C Trace Context, section 3.2: version-trace-parent-flags. What has another form must be ignored.
bool is_trace_parent(std::string_view text) noexcept {
  return text.size() == 55 && text[2] == '-' && text[35] == '-' && text[52] == '-' && is_lower_hex(text.substr(0, 2)) &&
         is_lower_hex(text.substr(3, 32)) && is_lower_hex(text.substr(36, 16)) && is_lower_hex(text.substr(53, 2)) &&
         text.substr(0, 2) != "ff";
}

std::string_view trace_parent_of(const ChatRequest& request) noexcept {
  if (!request.metadata.trace_parent.empty()) return request.metadata.trace_parent;
  for (const Header& header : request.headers) {
    if (equal_ignoring_case(header.first, trace_header)) return header.second;
  }
  return {};
}

bool is_forwarded(std::string_view name, const Endpoint& endpoint) noexcept {
  if (carries_secret(name) || belongs_to_connection(name)) return false;
  return std::any_of(endpoint.forward_headers.begin(), endpoint.forward_headers.end(),
                     [&](const std::string& allowed) { return equal_ignoring_case(allowed, name); });
}

Error unsendable(std::string_view what) {
  return {ErrorKind::invalid_request, std::string{what} + " cannot be sent as an HTTP header: its value must not hold "
                                                          "line breaks or other control characters"};
}

}  // namespace

Result<void> add_headers(HttpRequest& http, const ChatRequest& request, const Endpoint& endpoint,
                         std::string_view accept) {
  set_header(http, "content-type", "application/json");
  set_header(http, "accept", accept);
  set_header(http, "accept-encoding", accepted_codings);
  if (const std::string_view parent = trace_parent_of(request); is_trace_parent(parent)) {
    set_header(http, trace_header, parent);
  }
  if (const std::string& id = request.metadata.request_id; !id.empty()) {
    if (!is_header_value(id)) return unsendable("`metadata.request_id`");
    set_header(http, "x-client-request-id", id);
  }
  for (const Header& header : request.headers) {
    if (!is_forwarded(header.first, endpoint) || equal_ignoring_case(header.first, trace_header)) continue;
    if (!is_header_name(header.first) || !is_header_value(header.second)) {
      return unsendable("the request's header `" + header.first + "`");
    }
    set_header(http, header.first, header.second);
  }
  for (const Header& header : endpoint.headers) set_header(http, header.first, header.second);
  return {};
}

std::string address_below(std::string_view base_url, std::string_view path) {
  const std::size_t query = std::min(base_url.find('?'), base_url.size());
  std::string url;
  url.reserve(base_url.size() + path.size() + 1);
  url.append(base_url.substr(0, query)).append(path);
  if (query == base_url.size()) return url;
  return url.append(path.find('?') == std::string_view::npos ? "?" : "&").append(base_url.substr(query + 1));
}

void set_header(HttpRequest& http, std::string_view name, std::string_view value) {
  for (Header& header : http.headers) {
    if (!equal_ignoring_case(header.first, name)) continue;
    header.second = value;
    return;
  }
  http.headers.emplace_back(name, value);
}

void renew_span(HttpRequest& http, std::uint64_t random) {
  for (Header& header : http.headers) {
    if (!equal_ignoring_case(header.first, trace_header) || !is_trace_parent(header.second)) continue;
    for (std::size_t digit = 36; digit < 52; ++digit, random >>= 4) header.second[digit] = "0123456789abcdef"[random & 15U];
    if (header.second.compare(36, 16, "0000000000000000") == 0) header.second[51] = '1';  // zero is no span
  }
}

bool is_header_name(std::string_view name) noexcept {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
  });
}

bool is_header_value(std::string_view value) noexcept {
  return std::none_of(value.begin(), value.end(),
                      [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
}

}  // namespace backstop::inline v0::detail
