// TLS for real: certificates that are trusted and those that are not, against a server of the tests.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "support/spawned_server.hpp"

namespace tls_test {

using namespace backstop;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

class TlsServer {
 public:
  explicit TlsServer(const std::string& options = {})
      : server_{"python3", "tls_server.py", options, "python3 and openssl are needed for a server that speaks TLS"} {}

  /// Asks it as `localhost`.
  [[nodiscard]] Result<ChatResponse> ask(HttpOptions options, HttpOptions of_runtime = {}) const {
    options.resolve = {"localhost:" + std::to_string(server_.port()) + ":127.0.0.1"};
    FallbackOptions client_options;
    client_options.recovery.max_wait = 0s;
    RuntimeOptions runtime;
    runtime.http = std::move(of_runtime);
    client_options.runtime = std::make_shared<Runtime>(std::move(runtime));
    const Provider provider = openai({.model = "m",
                                      .api_key = "sk-secret-0123456789",
                                      .base_url = "https://localhost:" + std::to_string(server_.port()) + "/v1",
                                      .http = std::move(options)});
    return FallbackClient{{provider}, client_options}.chat("Hi");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return server_.file(name); }

 private:
  SpawnedServer server_;
};

void check_refused(const Result<ChatResponse>& reply, const std::string& setting) {
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  CHECK(reply.error().replay == ReplaySafety::not_sent);
  CHECK(reply.error().should_retry == false);
  CHECK_THAT(reply.error().message, ContainsSubstring(setting));
}

}  // namespace

TEST_CASE("a server whose authority is trusted answers, another does not") {
  const TlsServer server;
  const auto reply = server.ask({.ca_file = server.file("ca.pem")});
  REQUIRE(reply);
  CHECK(reply->text() == "by TLS");
  CHECK(server.ask({.ca_file = server.file("ca.pem"), .least_tls = TlsVersion::v1_3}));
  check_refused(server.ask({}), "HttpOptions::ca_file");
  check_refused(server.ask({.ca_file = server.file("server.key")}), "HttpOptions::ca_file");
}

TEST_CASE("a certificate for another name is refused") {
  const TlsServer server{"--name elsewhere"};
  check_refused(server.ask({.ca_file = server.file("ca.pem")}), "HttpOptions::ca_file");
}

TEST_CASE("a certificate of the past is refused") {
  const TlsServer server{"--expired"};
  check_refused(server.ask({.ca_file = server.file("ca.pem")}), "HttpOptions::ca_file");
}

TEST_CASE("a server that asks for a certificate gets the one that is given") {
  const TlsServer server{"--need-client"};
  const std::string ca = server.file("ca.pem");
  CHECK(server.ask({.ca_file = ca, .client_certificate = server.file("client.pem")}));
  CHECK(server.ask({.ca_file = ca, .client_certificate = server.file("client.crt"), .client_key = server.file("client.key")}));
  CHECK(server.ask({.ca_file = ca, .client_certificate = server.file("client.pem")},
                   {.client_certificate = server.file("server.crt"), .client_key = server.file("server.key")}));
  CHECK_FALSE(server.ask({.ca_file = ca}));
  check_refused(server.ask({.ca_file = ca, .client_certificate = server.file("client.crt")}),
                "HttpOptions::client_certificate");
}

TEST_CASE("a proxy opens a tunnel to a server that speaks TLS, and its refusal is told") {
  const TlsServer server;
  const SpawnedServer proxy{"python3", "relay.py", "connect", "python3 is needed for a proxy"};
  const std::string address = "http://127.0.0.1:" + std::to_string(proxy.port());
  const auto reply = server.ask({.proxy = address, .ca_file = server.file("ca.pem")});
  REQUIRE(reply);
  CHECK(reply->text() == "by TLS");

  const SpawnedServer refusing{"python3", "relay.py", "connect 407", "python3 is needed for a proxy"};
  const auto refused = server.ask({.proxy = "http://me:hunter2@127.0.0.1:" + std::to_string(refusing.port()),
                                   .ca_file = server.file("ca.pem")});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::connect_failed);
  CHECK(refused.error().replay == ReplaySafety::not_sent);
  CHECK_THAT(refused.error().message, ContainsSubstring("the proxy answered 407 (HttpOptions::proxy)"));
  CHECK(to_string(refused.error()).find("hunter2") == std::string::npos);
}

}  // namespace tls_test
