#include "backstop/policies/checks.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/testing/scripted_provider.hpp"
#include "policies/check_node.hpp"

namespace checks_test {

using namespace backstop;
using namespace backstop::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

ChatRequest asking(ResponseFormat::Type type, std::string schema = "") {
  ChatRequest request{"hello"};
  request.response_format = ResponseFormat{.type = type, .name = "answer", .schema = std::move(schema)};
  return request;
}

ChatRequest with_tools() {
  ChatRequest request{"hello"};
  request.tools = {{.name = "weather", .parameters = R"({"type": "object", "required": ["city"],
                                                         "properties": {"city": {"type": "string"}}})"},
                   {.name = "now"}};
  return request;
}

ChatResponse text(std::string said, std::optional<FinishReason> reason = FinishReason::stop) {
  ChatResponse response;
  response.parts.emplace_back(Text{std::move(said)});
  response.finish_reason = reason;
  return response;
}

ChatResponse calling(std::string name, std::string arguments) {
  ChatResponse response;
  response.parts.emplace_back(ToolCall{"1", std::move(name), std::move(arguments)});
  return response;
}

/// Why it refuses the answer; "" when it accepts.
std::string objection(const Check& check, const ChatResponse& response, const ChatRequest& request = {"hello"}) {
  return check.node().look({request, response}).objection.value_or("");
}

}  // namespace

TEST_CASE("each check accepts and refuses, and says why") {
  struct Row {
    Check check;
    ChatResponse response;
    std::string says;  // "" where it accepts
  };
  const std::vector<Row> rows{
      {finished(), text("x"), ""},
      {finished(), text("x", FinishReason::tool_calls), ""},
      {finished(), text("x", std::nullopt), ""},
      {finished(), text("x", FinishReason::length), "the output limit has cut it"},
      {finished(), text("x", FinishReason::context_full), "the context window has cut it"},
      {finished(), text("x", FinishReason::content_filter), "a filter or a refusal has ended it"},
      {finished(), text("x", FinishReason::paused), "the model has paused"},
      {not_empty(), text("x"), ""},
      {not_empty(), text(" \n\t"), "it is empty"},
      {not_empty(), {}, "it is empty"},
      {not_empty(), calling("now", ""), ""},
      {not_refused(), text("The capital is Rome."), ""},
      {not_refused(), text("He wrote: I'm sorry, but I can't come."), ""},
      {not_refused(), text("x", FinishReason::content_filter), "a filter or a refusal has ended it"},
      {not_refused(), text("\nI\u2019m sorry, but I can\u2019t assist with that."), "it begins as a refusal does"},
      {not_refused(), text("I cannot help with this request."), "it begins as a refusal does"},
      {length_between(2, 3), text("äöü"), ""},
      {length_between(2, 3), text("ä"), "it has 1 characters and must have at least 2"},
      {length_between(2, 3), text("abcd"), "it has 4 characters and must have at most 3"},
      {one_of_labels({"spam", "ham"}), text(" ham\n"), ""},
      {one_of_labels({"spam", "ham"}), text("I think ham"), R"(it is none of "spam", "ham")"},
      {satisfies("short", [](const Answer& a) { return a.response.text().size() < 3; }), text("ab"), ""},
      {satisfies("short", [](const Answer& a) { return a.response.text().size() < 3; }), text("abc"),
       "it does not satisfy \"short\""},
      {satisfies("own", [](const Answer&) -> Objection { return "because"; }), text("x"), "because"},
  };
  for (const Row& row : rows) {
    INFO(row.check.describe() << " on " << row.response.text());
    CHECK(objection(row.check, row.response) == row.says);
  }
}

TEST_CASE("matches_schema goes by the schema of the request, or by its own") {
  const ChatRequest with_schema = asking(ResponseFormat::Type::json_schema, R"({"type": "object", "required": ["a"]})");
  const Check check = matches_schema();
  CHECK(objection(check, text(R"({"a": 1})"), with_schema).empty());
  CHECK(objection(check, text("{}"), with_schema) ==
        "it does not match the schema: the value lacks the required property \"a\"");
  CHECK_THAT(objection(check, text(R"({"a": )"), with_schema), ContainsSubstring("broken JSON"));
  CHECK_THAT(objection(check, text("```json\n{\"a\": 1}\n```"), with_schema), ContainsSubstring("broken JSON"));
  CHECK(objection(check, text("free text"), asking(ResponseFormat::Type::text)).empty());
  CHECK(objection(check, text("free text")).empty());
  CHECK(objection(check, text("{}"), asking(ResponseFormat::Type::json_object)).empty());
  CHECK_THAT(objection(check, text("[]"), asking(ResponseFormat::Type::json_object)), ContainsSubstring("must be an object"));

  const Check own = matches_schema({.schema = R"({"type": "integer"})"});
  CHECK(objection(own, text("3"), with_schema).empty());
  CHECK_THAT(objection(own, text("{}"), with_schema), ContainsSubstring("must be an integer"));
}

TEST_CASE("a schema that cannot be used is told, and the answer is not judged by half of it") {
  CHECK_THROWS_AS(matches_schema({.schema = R"({"nullable": true})"}), std::invalid_argument);
  const Objection problem = matches_schema().node().problem_with(asking(ResponseFormat::Type::json_schema, R"({"nullable": true})"));
  REQUIRE(problem);
  CHECK_THAT(*problem, ContainsSubstring("response_format") && ContainsSubstring("`/nullable` is not a keyword"));
  ChatRequest tools = with_tools();
  CHECK_FALSE(valid_tool_arguments().node().problem_with(tools));
  tools.tools[0].parameters = R"({"oops": 1})";
  const Objection of_tool = (finished() && valid_tool_arguments()).node().problem_with(tools);
  REQUIRE(of_tool);
  CHECK_THAT(*of_tool, ContainsSubstring("the tool weather") && ContainsSubstring("`/oops`"));
}

TEST_CASE("valid_tool_arguments checks each call against its tool") {
  const ChatRequest request = with_tools();
  const Check check = valid_tool_arguments();
  CHECK(objection(check, text("no call"), request).empty());
  CHECK(objection(check, calling("weather", R"({"city": "Rome"})"), request).empty());
  CHECK(objection(check, calling("now", ""), request).empty());
  CHECK_THAT(objection(check, calling("weather", R"({"city": 7})"), request),
             ContainsSubstring("its call of weather do not match the schema: /city must be a string"));
  CHECK_THAT(objection(check, calling("weather", R"({"city": )"), request), ContainsSubstring("broken JSON"));
  CHECK(objection(check, calling("secret", "{}"), request) == "it calls a tool that the request does not have");
  ChatResponse two = calling("weather", R"({"city": "Rome"})");
  two.parts.emplace_back(ToolCall{"2", "weather", "{}"});
  CHECK_THAT(objection(check, two, request), ContainsSubstring("lacks the required property \"city\""));
}

TEST_CASE("an object that has a key twice is refused, whatever the schema asks of it") {
  CHECK(objection(matches_schema(), text(R"({"a": 1, "a": 1})"), asking(ResponseFormat::Type::json_object)) ==
        "it does not match the schema: /* stands twice in its object");
  CHECK(objection(valid_tool_arguments(), calling("weather", R"({"city": "Rome", "city": "Oslo"})"), with_tools()) ==
        "the arguments of its call of weather do not match the schema: /city stands twice in its object");
  CHECK_THAT(objection(valid_tool_arguments(), calling("now", R"({"x": [{"y": 1, "y": 2}]})"), with_tools()),
             ContainsSubstring("/*/*/* stands twice"));
}

TEST_CASE("a validator of the application's own takes the place of the library's") {
  std::string schema_seen;
  const SchemaValidator own = [&](std::string_view schema, std::string_view json) -> Objection {
    schema_seen = schema;
    return json == "good" ? std::nullopt : Objection{"not good"};
  };
  const ChatRequest request = asking(ResponseFormat::Type::json_schema, R"({"x-own": true})");
  const Check check = matches_schema({.validator = own});
  CHECK_FALSE(check.node().problem_with(request));
  CHECK(objection(check, text("good"), request).empty());
  CHECK(objection(check, text("bad"), request) == "it does not match the schema: not good");
  CHECK(schema_seen == R"({"x-own": true})");
  CHECK_THAT(objection(valid_tool_arguments(own), calling("weather", "bad"), with_tools()), ContainsSubstring("not good"));
}

TEST_CASE("an answer that calls tools has its text still to come") {
  const ChatRequest request = asking(ResponseFormat::Type::json_schema, R"({"type": "object"})");
  for (const Check& check : {matches_schema(), matches_schema({.schema = R"({"type": "integer"})"}), length_between(1, 2),
                             one_of_labels({"a"})}) {
    INFO(check.describe());
    CHECK(objection(check, calling("now", "{}"), request).empty());
    CHECK_FALSE(objection(check, text(""), request).empty());
  }
}

TEST_CASE("checks combine, and the second is asked only where the first does not decide") {
  int asked = 0;
  const Check yes = satisfies("yes", [&](const Answer&) { return ++asked > 0; });
  const Check no = satisfies("no", [&](const Answer&) { return ++asked < 0; });
  const auto outcome = [&](const Check& check) {
    asked = 0;
    return std::pair{objection(check, text("x")), asked};
  };
  const std::string why = "it does not satisfy \"no\"";
  CHECK(outcome(yes && yes) == std::pair{std::string{}, 2});
  CHECK(outcome(yes && no) == std::pair{why, 2});
  CHECK(outcome(no && yes) == std::pair{why, 1});
  CHECK(outcome(yes || no) == std::pair{std::string{}, 1});
  CHECK(outcome(no || yes) == std::pair{std::string{}, 2});
  CHECK(outcome(no || no) == std::pair{why + ", and " + why, 2});
  CHECK(outcome(!no) == std::pair{std::string{}, 1});
  CHECK(outcome(!yes) == std::pair{std::string{"it is what it must not be: yes"}, 1});
}

TEST_CASE("a check describes itself") {
  CHECK((matches_schema() && finished() && not_empty()).describe() == "matches_schema && finished && not_empty");
  CHECK(((finished() || not_empty()) && !not_refused()).describe() == "(finished || not_empty) && !not_refused");
  CHECK((!(finished() && not_empty())).describe() == "!(finished && not_empty)");
  CHECK(((finished() && not_empty()) || not_refused()).describe() == "finished && not_empty || not_refused");
  CHECK(length_between(1, 80).describe() == "length(1 to 80)");
  CHECK(one_of_labels({"a", "b"}).describe() == R"(one_of("a", "b"))");
  CHECK(matches_schema({.schema = "{}"}).describe() == "matches_schema(given)");
  CHECK(valid_tool_arguments().describe() == "valid_tool_arguments");
  CHECK(judged_by(ScriptedProvider{"j/m"}, "Polite?").describe() == "judged_by(j/m)");
  CHECK(judged_by(ScriptedProvider{"j/m"}, "Polite?", {.on_failure = JudgeFailure::reject}).describe() ==
        "judged_by(j/m, on_failure = reject)");
}

TEST_CASE("options of checks that cannot be right are refused") {
  CHECK_THROWS_AS(length_between(3, 2), std::invalid_argument);
  CHECK_THROWS_AS(one_of_labels({}), std::invalid_argument);
  CHECK_THROWS_AS(satisfies("", [](const Answer&) { return true; }), std::invalid_argument);
  CHECK_THROWS_AS(satisfies("x", std::function<bool(const Answer&)>{}), std::invalid_argument);
  CHECK_THROWS_AS(satisfies("x", std::function<Objection(const Answer&)>{}), std::invalid_argument);
  CHECK_THROWS_AS(judged_by(ScriptedProvider{"j/m"}, ""), std::invalid_argument);
  CHECK_THROWS_AS(judged_by(ScriptedProvider{"j/m"}, "x", {.max_output_tokens = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Check{nullptr}, std::invalid_argument);
}

}  // namespace checks_test
