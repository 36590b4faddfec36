#include "backstop/runtime/http_options.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/providers/openai.hpp"
#include "support/fault_server.hpp"
#include "support/spawned_server.hpp"
#include "text/ascii.hpp"

namespace http_options_test {

using namespace backstop;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

Result<ChatResponse> ask(const std::string& base_url, HttpOptions of_runtime, HttpOptions of_target = {}) {
  RuntimeOptions options;
  options.http = std::move(of_runtime);
  FallbackOptions client_options;
  client_options.recovery.max_wait = 0s;
  client_options.runtime = std::make_shared<Runtime>(std::move(options));
  const Provider provider = openai(
      {.model = "m", .api_key = "sk-secret-0123456789", .base_url = base_url, .http = std::move(of_target)});
  return FallbackClient{{provider}, client_options}.chat("Hi");
}

std::string port_of(const faults::FaultServer& server) {
  const std::string url = server.base_url("");
  return url.substr(url.rfind(':') + 1);
}

std::string header(const faults::FaultServer& server, std::string_view name) {
  const auto requests = server.requests();
  for (const auto& [field, value] : requests.back().headers) {
    if (detail::equal_ignoring_case(field, name)) return value;
  }
  return {};
}

/// Of the runtime, or of the target: both have to do.
template <class Try>
void on_both_levels(const HttpOptions& options, Try attempt) {
  SECTION("of the runtime") { attempt(options, HttpOptions{}); }
  SECTION("of the target") { attempt(HttpOptions{}, options); }
}

}  // namespace

TEST_CASE("a host's address can be given") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const std::string url = "http://made.up:" + port_of(server) + "/v1";
  on_both_levels({.resolve = {"made.up:" + port_of(server) + ":127.0.0.1"}},
                 [&](const HttpOptions& runtime, const HttpOptions& target) {
                   CHECK(ask(url, runtime, target));
                   CHECK(header(server, "host") == "made.up:" + port_of(server));
                 });
}

TEST_CASE("the address that one target has for a host is not another's") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  faults::FaultServer other;
  other.always(faults::answer("All is well elsewhere."));
  const std::string url = "http://localhost:" + port_of(server) + "/v1";
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const auto text_with = [&](HttpOptions http) {
    const Provider target = openai({.model = "m", .api_key = "sk-0123456789", .base_url = url, .http = std::move(http)});
    const auto reply = FallbackClient{{target}, options}.chat("Hi");
    return reply ? reply->text() : reply.error().message;
  };
  const HttpOptions elsewhere{.resolve = {"localhost:" + port_of(server) + ":127.0.0.1:" + port_of(other)}};
  CHECK_THAT(text_with(elsewhere), ContainsSubstring("elsewhere"));
  CHECK(text_with({}).find("elsewhere") == std::string::npos);
  CHECK_THAT(text_with(elsewhere), ContainsSubstring("elsewhere"));
}

TEST_CASE("a name without an address is told, with the setting that could give it one") {
  const auto reply = ask("http://no-such-host.invalid/v1", {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
  CHECK_THAT(reply.error().message, ContainsSubstring("HttpOptions::resolve"));
}

TEST_CASE("requests go through a proxy, but for hosts that are left out") {
  faults::FaultServer proxy;
  proxy.always(faults::answer("by the proxy"));
  faults::FaultServer server;
  server.always(faults::answer("directly"));
  const std::string address = "http://127.0.0.1:" + port_of(proxy);
  on_both_levels({.proxy = address}, [&](const HttpOptions& runtime, const HttpOptions& target) {
    const auto reply = ask("http://made.up/v1", runtime, target);
    REQUIRE(reply);
    CHECK_THAT(reply->text(), ContainsSubstring("by the proxy"));
    CHECK(header(proxy, "host") == "made.up");
  });
  SECTION("left out") {
    const auto reply = ask(server.base_url("/v1"), {.proxy = address, .no_proxy = "127.0.0.1"});
    REQUIRE(reply);
    CHECK_THAT(reply->text(), ContainsSubstring("directly"));
  }
  SECTION("a target without the runtime's") {
    const auto reply = ask(server.base_url("/v1"), {.proxy = address}, {.proxy = "none"});
    REQUIRE(reply);
    CHECK_THAT(reply->text(), ContainsSubstring("directly"));
  }
}

TEST_CASE("a proxy that wants a password is a failure to connect, and another target is asked") {
  faults::FaultServer proxy;
  proxy.always(faults::status(407));
  faults::FaultServer server;
  server.always(faults::answer("directly"));
  const auto target = [](const char* model, const std::string& base_url, HttpOptions http) {
    return openai({.model = model, .api_key = "sk-0123456789", .base_url = base_url, .http = std::move(http)});
  };
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const auto reply = FallbackClient{{target("a", "http://made.up/v1", {.proxy = "http://127.0.0.1:" + port_of(proxy)}),
                                     target("b", server.base_url("/v1"), {.user_agent = "other/1"})},
                                    options}
                         .chat("Hi");
  REQUIRE(reply);
  CHECK_THAT(reply->text(), ContainsSubstring("directly"));
  CHECK_THAT(reply->attempts.front().reason, ContainsSubstring("the proxy answered 407 (HttpOptions::proxy)"));
}

TEST_CASE("a failure that comes at once is noticed at once") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const Provider fails = openai({.model = "a",
                                 .api_key = "sk-0123456789",
                                 .base_url = "http://localhost/v1",
                                 .http = {.unix_socket = "/no/such/socket"}});
  const Provider answers = openai({.model = "b", .api_key = "sk-0123456789", .base_url = server.base_url("/v1")});
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const auto begun = std::chrono::steady_clock::now();
  const auto reply = FallbackClient{{fails, answers}, options}.chat("Hi");
  REQUIRE(reply);
  CHECK(reply->attempts.size() == 2);
  CHECK(std::chrono::steady_clock::now() - begun < 4s);  // the limit of connecting is 5 s
}

TEST_CASE("a target with options of its own has connections of its own") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const auto ask_with = [&](HttpOptions http) {
    const Provider target = openai(
        {.model = "m", .api_key = "sk-0123456789", .base_url = server.base_url("/v1"), .http = std::move(http)});
    CHECK(FallbackClient{{target}, options}.chat("Hi"));
    return server.connection_count();
  };
  CHECK(ask_with({.local_interface = "127.0.0.1"}) == 1);
  CHECK(ask_with({}) == 2);
  CHECK(ask_with({.local_interface = "127.0.0.1"}) == 2);
  CHECK(ask_with({}) == 2);
  CHECK(ask_with({.idle_connections = 0}) == 3);
  CHECK(ask_with({.idle_connections = 0}) == 4);
}

TEST_CASE("the environment's proxy counts only where that is asked for") {
  faults::FaultServer proxy;
  proxy.always(faults::answer("by the proxy"));
  faults::FaultServer server;
  server.always(faults::answer("directly"));
  REQUIRE(::setenv("http_proxy", ("http://127.0.0.1:" + port_of(proxy)).c_str(), 1) == 0);
  const auto unasked = ask(server.base_url("/v1"), {});
  const auto asked = ask(server.base_url("/v1"), {.proxy = "environment"});
  const auto asked_by_target = ask(server.base_url("/v1"), {}, {.proxy = "environment"});
  ::unsetenv("http_proxy");
  REQUIRE(unasked);
  CHECK_THAT(unasked->text(), ContainsSubstring("directly"));
  REQUIRE(asked);
  CHECK_THAT(asked->text(), ContainsSubstring("by the proxy"));
  REQUIRE(asked_by_target);
  CHECK_THAT(asked_by_target->text(), ContainsSubstring("by the proxy"));
}

TEST_CASE("a user agent is sent where one is given") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  CHECK(ask(server.base_url("/v1"), {}));
  CHECK(header(server, "user-agent").empty());
  on_both_levels({.user_agent = "mine/1"}, [&](const HttpOptions& runtime, const HttpOptions& target) {
    CHECK(ask(server.base_url("/v1"), runtime, target));
    CHECK(header(server, "user-agent") == "mine/1");
  });
}

TEST_CASE("requests go out by the interface that is given, and one that is not there is told") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  CHECK(ask(server.base_url("/v1"), {.local_interface = "127.0.0.1"}));
  const auto reply = ask(server.base_url("/v1"), {.local_interface = "if!nosuch0"});
  REQUIRE_FALSE(reply);
  CHECK_THAT(reply.error().message, ContainsSubstring("HttpOptions::local_interface"));
}

TEST_CASE("a unix socket is used in place of host and port") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  const SpawnedServer relay{"python3", "relay.py", "unix " + port_of(server), "python3 is needed for a unix socket"};
  on_both_levels({.unix_socket = relay.file("socket")}, [&](const HttpOptions& runtime, const HttpOptions& target) {
    CHECK(ask("http://no-such-host.invalid/v1", runtime, target));
    CHECK(header(server, "host") == "no-such-host.invalid");
  });
}

TEST_CASE("a unix socket that is not there is told") {
  const auto reply = ask("http://localhost/v1", {.unix_socket = "/no/such/socket"});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().replay == ReplaySafety::not_sent);
  CHECK_THAT(reply.error().message, ContainsSubstring("HttpOptions::unix_socket"));
}

TEST_CASE("a file of trusted certificates that is not there is told") {
  const auto reply = ask("https://127.0.0.1:1/v1", {.ca_file = "/no/such/file.pem"});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::connect_failed);
}

TEST_CASE("more calls than connections wait for one another") {
  faults::FaultServer server;
  server.always(faults::answer("All is well."));
  RuntimeOptions options;
  options.http.connections_per_host = 2;
  FallbackOptions client_options;
  client_options.runtime = std::make_shared<Runtime>(std::move(options));
  const FallbackClient client{
      {openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = server.base_url("/v1")})}, client_options};
  std::vector<PendingCall> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(client.start("Hi"));
  for (PendingCall& call : calls) CHECK(call.wait());
  CHECK(server.connection_count() <= 2);
}

TEST_CASE("waiting for a connection that others have is not connecting") {
  faults::FaultServer server;
  server.always(faults::slow_headers(1200ms, faults::answer("All is well.")));
  RuntimeOptions runtime;
  runtime.http.connections_per_host = 1;
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(runtime));
  const FallbackClient client{
      {openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = server.base_url("/v1")}) |
       timeout({.connect = 1s})},
      options};
  std::vector<PendingCall> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(client.start("Hi"));
  for (PendingCall& call : calls) CHECK(call.wait());
}

TEST_CASE("options of connections that cannot be right are refused with their names, and a proxy's password is not told") {
  const auto refused = [](const HttpOptions& options, std::string_view name) {
    CHECK_THAT(problem_with(options), ContainsSubstring(std::string{name}));
    RuntimeOptions runtime;
    runtime.http = options;
    CHECK_THROWS_AS(Runtime{std::move(runtime)}, std::invalid_argument);
    CHECK_THROWS_AS(openai({.model = "m", .http = options}), std::invalid_argument);
  };
  refused({.proxy = "me:hunter2@proxy"}, "proxy");
  CHECK(problem_with({.proxy = "me:hunter2@proxy"}).find("hunter2") == std::string::npos);
  for (const char* wrong : {"http://me:hunter2@127.0.0.1:99999", "http://me:hunter2@", "http://me:hunter2@host:port",
                            "http://me:hun/ter2@host:1", "http://me:hunter2\n@host:1"}) {
    CAPTURE(wrong);
    refused({.proxy = wrong}, "proxy");
    CHECK(problem_with({.proxy = wrong}).find("hunter2") == std::string::npos);
  }
  refused({.client_key = "key.pem"}, "client_certificate");
  refused({.user_agent = "mine\r\nx-injected: yes"}, "user_agent");
  refused({.ca_file = std::string{"a\0b", 3}}, "ca_file");
  for (const char* wrong : {"", "host", "host:80", "host:80:", ":80:127.0.0.1", "host:http:127.0.0.1", "host:80:127.0.0.1:http", "*:80:127.0.0.1",
                            "+host:80:127.0.0.1", "host:80:127.0.0.1:65536"}) {
    refused({.resolve = {wrong}}, "resolve");
  }
  refused({.connections_per_host = -1}, "connections_per_host");
  refused({.connections = -1}, "connections");
  refused({.idle_connections = -1}, "idle_connections");
  CHECK(problem_with({.proxy = "socks5h://127.0.0.1:1080", .resolve = {"a:1:::1", "a:1:[::1]", "a:1:[::1]:2", "a:1:127.0.0.1:2"}}).empty());
}

}  // namespace http_options_test
