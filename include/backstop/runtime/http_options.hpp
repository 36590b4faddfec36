#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backstop/export.hpp"

namespace backstop::inline v0 {

enum class HttpVersion : std::uint8_t {
  automatic,  ///< HTTP/2 where a server offers it over TLS, else HTTP/1.1
  v1_1,
  v2,         ///< also without TLS, to servers that are known to speak it
};
enum class TlsVersion : std::uint8_t { v1_2, v1_3 };

/// How connections are made: of a runtime, and of a single target (`ModelOptions::http`), whose own settings count
/// there in place of the runtime's: what is empty, or a number or version as by default, is the runtime's. A `proxy`
/// brings its `no_proxy` along, a `client_certificate` its `client_key`; of `least_tls` the higher counts.
///
/// Keys and certificates are read from their files when a connection is made. Thread safety: a value.
struct HttpOptions {
  /// The proxy's address, such as http://proxy:3128 or socks5h://127.0.0.1:1080; "environment": as http_proxy,
  /// https_proxy, all_proxy and no_proxy say; "none": no proxy, also where the runtime has one. Empty: none, and the
  /// environment is not read.
  std::string proxy{};
  std::string no_proxy{};    ///< hosts that are reached without it, with commas between; "*": all
  std::string ca_file{};     ///< the certificates that are trusted, in PEM, in place of the system's
  std::string ca_folder{};   ///< the same as a folder that `c_rehash` has prepared
  std::string client_certificate{};  ///< shown to servers that ask for one: a PEM file
  std::string client_key{};          ///< its key, a PEM file without a passphrase; empty: in the same file
  TlsVersion least_tls = TlsVersion::v1_2;
  std::string unix_socket{};         ///< the path of a socket that is used in place of host and port
  /// Where hosts are reached in place of their own address: "host:port:address", or "host:port:address:port"; an IPv6
  /// address with a port stands in brackets. Certificates are for the host still.
  std::vector<std::string> resolve{};
  std::string local_interface{};     ///< a network interface, address or host name of this machine
  HttpVersion version = HttpVersion::automatic;
  std::string user_agent{};          ///< empty: none is sent
  // Of the connections that are made alike: a target with options of its own has connections of its own.
  int connections_per_host = 0;      ///< at most, others wait; 0: no limit
  int connections = 0;               ///< at most in all; 0: no limit
  int idle_connections = 64;         ///< kept for later calls, at most; 0: none

  friend bool operator==(const HttpOptions&, const HttpOptions&) = default;
};

/// What is wrong with the options, and what would be accepted; empty when nothing is. Files are not looked for.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const HttpOptions& options);

}  // namespace backstop::inline v0
