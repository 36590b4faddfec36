#include "support/fault_names.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "curl_client.hpp"
#include "support/fault_log.hpp"
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

TEST_CASE("words in brackets are the text, the tool and its arguments") {
  const auto body_of = [](std::string_view name) {
    ReceivedRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.body = R"({"model":"m","messages":[]})";
    return std::get<Send>(behaviour_named(name).script(request)->steps.at(0)).bytes;
  };
  CHECK_THAT(body_of("answer(It is (nearly) 5, he said.)"), ContainsSubstring("\"It is (nearly) 5, he said.\""));
  CHECK_THAT(body_of("answer(7)"), ContainsSubstring("\"content\":\"7\""));
  const std::string call = body_of(R"x(tool_call(weather, {"city": "Oslo", "days": 2}))x");
  CHECK_THAT(call, ContainsSubstring(R"("name":"weather","arguments":"{\"city\": \"Oslo\", \"days\": 2}")"));
  CHECK_THAT(body_of("tool_call(now)"), ContainsSubstring(R"("name":"now","arguments":"{}")"));
  CHECK_THAT(body_of("tokens(20, Word by word.)"), ContainsSubstring("\"Word by word.\""));
  using Row = std::pair<const char*, const char*>;
  for (const auto& [wrong, why] : {Row{"tool_call()", "the name of a tool is wanted"},
                                   Row{"tool_call(a, {)", "'{' is no JSON"}, Row{"tokens(x)", "milliseconds"},
                                   Row{"tokens(x, y)", "milliseconds"}, Row{"answer(open", "is none of: answer, "}}) {
    CAPTURE(wrong);
    CHECK_THROWS_MATCHES(behaviour_named(wrong), std::invalid_argument, MessageMatches(ContainsSubstring(why)));
  }
}

TEST_CASE("tokens pauses between the pieces of a stream, not in a plain answer") {
  const auto pauses_of = [](bool stream, std::string_view name) {
    ReceivedRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.body = stream ? R"({"stream":true})" : "{}";
    std::vector<int> pauses;
    const auto script = behaviour_named(name).script(request);
    for (const Step& step : script->steps) {
      if (const auto* pause = std::get_if<Pause>(&step)) pauses.push_back(static_cast<int>(pause->duration.count()));
    }
    return pauses;
  };
  CHECK(pauses_of(true, "tokens(20, one two three four)") == std::vector<int>{20, 20, 20});
  CHECK(pauses_of(true, "tokens(30)") == std::vector<int>(4, 30));
  CHECK(pauses_of(true, "tokens") == std::vector<int>(4, 50));
  CHECK(pauses_of(false, "tokens(30)").empty());
}

TEST_CASE("a request is told on one line, without its key and what it says") {
  ReceivedRequest request;
  request.method = "POST";
  request.path = "/v1beta/models/gemini-3:streamGenerateContent?alt=sse&key=hunter2";
  request.headers = {{"authorization", "Bearer hunter2"}};
  request.body = R"({"contents":[{"role":"user"},{"role":"model"},{"role":"user"}]})";
  CHECK(line_of(request) ==
        "POST /v1beta/models/gemini-3:streamGenerateContent: model gemini-3, streamed, 3 messages");
  request.path = "/v1/responses";
  request.body = R"({"model":"a\nb","input":"What?"})";
  CHECK(line_of(request) == "POST /v1/responses: model a b, plain, 1 message");
  request.body = "[]";
  CHECK(line_of(request) == "POST /v1/responses: no JSON object");
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
