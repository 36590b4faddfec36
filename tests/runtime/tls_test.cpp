// TLS for real: certificates that are trusted and those that are not, against a server of the tests.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"

using namespace backstop;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

class TlsServer {
 public:
  explicit TlsServer(const std::string& options = {}) {
    const std::string command = "python3 " BACKSTOP_SOURCE_DIR "/tests/support/tls_server.py " + options + " 2>/dev/null";
    process_ = ::popen(command.c_str(), "r");
    REQUIRE(process_ != nullptr);
    std::array<char, 256> folder{};
    if (std::fscanf(process_, "%d %d %255s", &pid_, &port_, folder.data()) != 3) {
      ::pclose(process_);
      SKIP("python3 and openssl are needed for a server that speaks TLS");
    }
    folder_ = folder.data();
  }
  ~TlsServer() {
    ::kill(pid_, SIGTERM);
    ::pclose(process_);
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  /// Asks it as `localhost`.
  [[nodiscard]] Result<ChatResponse> ask(HttpOptions options) const {
    options.resolve = {"localhost:" + std::to_string(port_) + ":127.0.0.1"};
    FallbackOptions client_options;
    client_options.recovery.max_wait = 0s;
    client_options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
    const Provider provider = openai({.model = "m",
                                      .api_key = "sk-secret-0123456789",
                                      .base_url = "https://localhost:" + std::to_string(port_) + "/v1",
                                      .http = std::move(options)});
    return FallbackClient{{provider}, client_options}.chat("Hi");
  }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_ + "/" + name; }

 private:
  std::FILE* process_ = nullptr;
  int pid_ = 0;
  int port_ = 0;
  std::string folder_;
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
  CHECK_FALSE(server.ask({.ca_file = ca}));
  check_refused(server.ask({.ca_file = ca, .client_certificate = server.file("client.crt")}),
                "HttpOptions::client_certificate");
}
