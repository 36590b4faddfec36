#include "sigv4.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "digest.hpp"
#include "providers/http/request_headers.hpp"
#include "text/ascii.hpp"
#include "text/percent.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

[[nodiscard]] std::string in_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += digits[value >> 4U];
    text += digits[value & 15U];
  }
  return text;
}

[[nodiscard]] std::string_view as_bytes(const Digest& digest) noexcept { return {digest.data(), digest.size()}; }

/// An address in its parts, as curl takes it.
struct AddressParts {
  std::string_view host;  ///< with its port, unless that is the scheme's own
  std::string_view path;
  std::string_view query;
};

[[nodiscard]] AddressParts parts_of(std::string_view url) noexcept {
  AddressParts parts;
  const std::size_t scheme = url.find("://");
  const bool secure = equal_ignoring_case(url.substr(0, scheme), "https");
  std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
  if (const std::size_t query = rest.find('?'); query != std::string_view::npos) {
    parts.query = rest.substr(query + 1);
    rest = rest.substr(0, query);
  }
  const std::size_t path = std::min(rest.find('/'), rest.size());
  parts.path = rest.substr(path);
  parts.host = rest.substr(0, path);
  const std::string_view usual_port = secure ? ":443" : ":80";
  if (parts.host.ends_with(usual_port)) parts.host.remove_suffix(usual_port.size());
  return parts;
}

/// Each segment encoded once more; empty ones are left out, as the server does.
[[nodiscard]] std::string canonical_path(std::string_view path) {
  std::string canonical;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end != 0 || path.empty()) canonical.append("/").append(percent_encoded(path.substr(0, end)));
    path.remove_prefix(end);
  }
  return canonical.empty() ? "/" : canonical;
}

/// The parameters, encoded as they are in the address, in order.
[[nodiscard]] std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string_view, std::string_view>> parameters;
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(parameter.size() + 1, query.size()));
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    if (!parameter.empty()) {
      parameters.emplace_back(parameter.substr(0, equals), parameter.substr(std::min(equals + 1, parameter.size())));
    }
  }
  std::sort(parameters.begin(), parameters.end());
  std::string canonical;
  for (const auto& [name, value] : parameters) {
    canonical.append(canonical.empty() ? "" : "&").append(name).append("=").append(value);
  }
  return canonical;
}

/// Without blanks at its ends, and runs of them as one.
[[nodiscard]] std::string canonical_value(std::string_view value) {
  std::string canonical;
  for (const char letter : trim(value)) {
    const bool blank = letter == ' ' || letter == '\t';
    if (blank && canonical.ends_with(' ')) continue;
    canonical += blank ? ' ' : letter;
  }
  return canonical;
}

[[nodiscard]] bool is_signed(std::string_view lower_name) noexcept {
  return lower_name == "content-type" || lower_name == "host" || lower_name.starts_with("x-amz-");
}

[[nodiscard]] std::string basic_date(WallTime now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{seconds - day};
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count(), time.seconds().count());
}

[[nodiscard]] Error cannot_sign(std::string_view why) {
  return {ErrorKind::authentication, "the request cannot be signed for AWS: " + std::string{why}};
}

}  // namespace

CanonicalRequest canonical_request(const HttpRequest& http, std::string_view body_digest) {
  const AddressParts address = parts_of(http.url);
  std::map<std::string, std::string> fields{{"host", std::string{address.host}}};
  for (const Header& header : http.headers) {
    if (std::string name = lower_case(header.first); is_signed(name)) fields[name] = canonical_value(header.second);
  }
  CanonicalRequest request;
  request.text = fmt::format("POST\n{}\n{}\n", canonical_path(address.path), canonical_query(address.query));
  for (const auto& [name, value] : fields) {
    request.text.append(name).append(":").append(value).append("\n");
    request.signed_headers.append(request.signed_headers.empty() ? "" : ";").append(name);
  }
  request.text.append("\n").append(request.signed_headers).append("\n").append(body_digest);
  return request;
}

Result<void> sign_request(HttpRequest& http, const AwsSigner& signer, WallTime now) {
  if (!has_digests()) {
    return cannot_sign("this build has no OpenSSL (`BACKSTOP_WITH_OPENSSL`); give a Bedrock API key instead");
  }
  if (signer.region.empty()) return cannot_sign("its region is not known; give it with `region` or AWS_REGION");
  const std::string moment = basic_date(now);
  const std::string scope =
      fmt::format("{}/{}/{}/aws4_request", std::string_view{moment}.substr(0, 8), signer.region, signer.service);
  set_header(http, "x-amz-date", moment);
  if (!signer.session_token.empty()) set_header(http, "x-amz-security-token", signer.session_token);

  Digest digest{};
  if (!sha256(http.body, digest)) return cannot_sign("OpenSSL does not compute SHA-256");
  const CanonicalRequest canonical = canonical_request(http, in_hex(as_bytes(digest)));
  if (!sha256(canonical.text, digest)) return cannot_sign("OpenSSL does not compute SHA-256");
  const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", algorithm, moment, scope, in_hex(as_bytes(digest)));

  const std::string first = "AWS4" + std::string{signer.secret_access_key};
  std::string_view key = first;
  Digest keys[2]{};
  std::size_t turn = 0;
  for (const std::string_view part : {std::string_view{moment}.substr(0, 8), signer.region, signer.service,
                                      std::string_view{"aws4_request"}, std::string_view{to_sign}}) {
    Digest& next = keys[turn++ % 2];
    if (!hmac_sha256(key, part, next)) return cannot_sign("OpenSSL does not compute HMAC");
    key = as_bytes(next);
  }
  set_header(http, "authorization",
             fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", algorithm, signer.access_key_id, scope,
                         canonical.signed_headers, in_hex(key)));
  return {};
}

}  // namespace backstop::inline v0::detail
