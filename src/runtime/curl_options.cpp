#include "runtime/curl_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "runtime/http_options.hpp"

namespace backstop::inline v0::detail {

void check_option(CURLcode code) {
  if (code == CURLE_OK) return;
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc{};
  throw std::runtime_error{fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code))};
}

void append(CurlList& list, const char* line) {
  curl_slist* longer = curl_slist_append(list.get(), line);
  if (longer == nullptr) throw std::bad_alloc{};
  static_cast<void>(list.release());
  list.reset(longer);
}

HttpOptions merged(HttpOptions of_runtime, const HttpOptions& of_target) {
  // What belongs together comes from one side.
  if (!of_target.client_certificate.empty()) of_runtime.client_key.clear();
  if (!of_target.proxy.empty()) of_runtime.no_proxy.clear();
  for (const HttpText& text : http_texts) {
    if (!(of_target.*text.member).empty()) of_runtime.*text.member = of_target.*text.member;
  }
  of_runtime.least_tls = std::max(of_runtime.least_tls, of_target.least_tls);
  if (!of_target.resolve.empty()) of_runtime.resolve = of_target.resolve;
  if (of_target.version != HttpVersion::automatic) of_runtime.version = of_target.version;
  const HttpOptions usual;
  for (int HttpOptions::*const number :
       {&HttpOptions::connections_per_host, &HttpOptions::connections, &HttpOptions::idle_connections}) {
    if (of_target.*number != usual.*number) of_runtime.*number = of_target.*number;
  }
  return of_runtime;
}

// libcurl's own list of addresses is shared by all handles; where to connect to is a handle's own.
CurlList resolutions(const HttpOptions& options) {
  CurlList list;
  for (const std::string& line : options.resolve) {
    const std::optional<Resolution> one = read_resolution(line);
    if (!one) continue;
    const bool is_ipv6 = one->address.find(':') != std::string_view::npos;
    append(list, fmt::format("{}:{}:{}{}{}:{}", one->host, one->port, is_ipv6 ? "[" : "", one->address,
                             is_ipv6 ? "]" : "", one->address_port)
                     .c_str());
  }
  return list;
}

void apply(CURL* easy, const HttpOptions& options, curl_slist* resolutions) {
  const auto set_text = [easy](CURLoption option, const std::string& text) {
    if (!text.empty()) set_option(easy, option, text.c_str());
  };
  if (options.proxy.empty() || options.proxy == "none") {
    set_option(easy, CURLOPT_PROXY, "");  // the environment is not read
  } else if (options.proxy != "environment") {
    set_option(easy, CURLOPT_PROXY, options.proxy.c_str());
    set_option(easy, CURLOPT_NOPROXY, options.no_proxy.c_str());
  } else {
    set_text(CURLOPT_NOPROXY, options.no_proxy);
  }
  for (const CURLoption option : {CURLOPT_CAINFO, CURLOPT_PROXY_CAINFO}) set_text(option, options.ca_file);
  for (const CURLoption option : {CURLOPT_CAPATH, CURLOPT_PROXY_CAPATH}) set_text(option, options.ca_folder);
  set_text(CURLOPT_SSLCERT, options.client_certificate);
  set_text(CURLOPT_SSLKEY, options.client_key.empty() ? options.client_certificate : options.client_key);
  set_option(easy, CURLOPT_KEYPASSWD, "");  // else a key with a passphrase would be asked for at the terminal
  set_text(CURLOPT_UNIX_SOCKET_PATH, options.unix_socket);
  set_text(CURLOPT_INTERFACE, options.local_interface);
  set_text(CURLOPT_USERAGENT, options.user_agent);
  if (resolutions != nullptr) set_option(easy, CURLOPT_CONNECT_TO, resolutions);
  const long least_tls = options.least_tls == TlsVersion::v1_3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2;
  for (const CURLoption option : {CURLOPT_SSLVERSION, CURLOPT_PROXY_SSLVERSION}) set_option(easy, option, least_tls);
  constexpr long versions[] = {CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE};
  set_option(easy, CURLOPT_HTTP_VERSION, versions[static_cast<std::size_t>(options.version)]);
  if (options.idle_connections == 0) set_option(easy, CURLOPT_FORBID_REUSE, 1L);
}

std::string advice(CURLcode code, const HttpOptions& options) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "; its name has no address, here or in HttpOptions::resolve";
    case CURLE_COULDNT_RESOLVE_PROXY: return "; HttpOptions::proxy must be the address of a proxy that there is";
    case CURLE_SSL_CACERT_BADFILE: return "; HttpOptions::ca_file must be a file of certificates in PEM";
    case CURLE_SSL_CERTPROBLEM:
      return "; HttpOptions::client_certificate must be a PEM file, with its key there or in client_key, without a "
             "passphrase";
    case CURLE_PEER_FAILED_VERIFICATION: return "; a private authority's certificate goes into HttpOptions::ca_file";
    case CURLE_SSL_CONNECT_ERROR:
      return fmt::format("; TLS {} or newer is needed (HttpOptions::least_tls)",
                         options.least_tls == TlsVersion::v1_3 ? "1.3" : "1.2");
    case CURLE_INTERFACE_FAILED: return "; HttpOptions::local_interface must be an interface or address of this machine";
    case CURLE_COULDNT_CONNECT:
      return options.unix_socket.empty() ? std::string{}
                                         : "; HttpOptions::unix_socket must be the path of a listening socket";
    default: return {};
  }
}

}  // namespace backstop::inline v0::detail
