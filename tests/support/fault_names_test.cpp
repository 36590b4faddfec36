#include "support/fault_names.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>
#include <stdexcept>
#include <string>

#include "curl_client.hpp"
#include "support/fault_server.hpp"

namespace fault_names_test {

using namespace backstop::faults;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

TEST_CASE("each named behaviour makes a script for a request of each wire, by its name and with a number") {
  std::set<std::string_view> names;
  for (const NamedBehaviour& named : named_behaviours()) {
    CAPTURE(named.name);
    CHECK(names.insert(named.name).second);
    for (const char* path : {"/v1/chat/completions", "/v1/messages", "/v1/responses",
                             "/v1beta/models/m:generateContent", "/v2/chat", "/api/chat"}) {
      ReceivedRequest request;
      request.method = "POST";
      request.path = path;
      request.body = R"({"model":"m","messages":[]})";
      CHECK_FALSE(behaviour_named(named.name).script(request)->steps.empty());
      if (named.number.empty()) continue;
      CHECK_FALSE(behaviour_named(std::string{named.name} + "(7)").script(request)->steps.empty());
    }
  }
}

TEST_CASE("a behaviour that there is not is told with those that there are") {
  for (const char* wrong : {"", "overlooded", "cut_stream(", "cut_stream(x)", "cut_stream(-1)", "cut_stream(1)x",
                            "cut_stream()", "cut_stream(99999999999)"}) {
    CAPTURE(wrong);
    CHECK_THROWS_MATCHES(behaviour_named(wrong), std::invalid_argument,
                         MessageMatches(ContainsSubstring("is none of: answer, ") &&
                                        ContainsSubstring("cut_stream(N)")));
  }
  CHECK_THROWS_MATCHES(behaviour_named("silence(3)"), std::invalid_argument,
                       MessageMatches(ContainsSubstring("silence takes no number")));
}

TEST_CASE("a request says itself which fault it wants, by its model or by a header that goes first") {
  FaultServer server;
  Client client;
  server.always(as_requested(answer("healthy")));
  const std::string url = server.base_url("/v1/chat/completions");
  CHECK(client.post(url, R"({"model":"m"})").status == 200);
  CHECK(client.post(url, R"x({"model":"fault/status(418)"})x").status == 418);
  CHECK(client.post(url, R"({"model":"fault/overloaded"})").status == 503);
  const Exchange wrong = client.post(url, R"({"model":"fault/overlooded"})");
  CHECK(wrong.status == 400);
  CHECK(wrong.has("'overlooded' is none of: answer"));

  ReceivedRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers = {{"X-Fault", "status(404)"}};
  request.body = R"({"model":"fault/overloaded"})";
  const auto script = as_requested().script(request);
  REQUIRE_FALSE(script->steps.empty());
  CHECK_THAT(std::get<Send>(script->steps[0]).bytes, ContainsSubstring(" 404 "));
}

}  // namespace fault_names_test
