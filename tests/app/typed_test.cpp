#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/app/typed.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace typed_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::ordered_json;

enum class Mood { good, bad };
NLOHMANN_JSON_SERIALIZE_ENUM(Mood, {{Mood::good, "good"}, {Mood::bad, "bad"}})

struct Step {
  std::string what;
  double minutes = 0;
  std::vector<std::string> tools;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Step, what, minutes, tools)

struct Recipe {
  std::string title;
  int people = 0;
  bool vegan = false;
  Mood mood = Mood::good;
  std::vector<Step> steps;
  Step first;
  std::vector<std::vector<int>> table;
  std::map<std::string, int> amounts;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Recipe, title, people, vegan, mood, steps, first, table, amounts)

struct InOrder {
  std::string reasons;
  int answer = 0;
};
template <class Any>
void to_json(Any& json, const InOrder& value) {
  json = Any{{"reasons", value.reasons}, {"answer", value.answer}};
}
template <class Any>
void from_json(const Any& json, InOrder& value) {
  json.at("reasons").get_to(value.reasons);
  json.at("answer").get_to(value.answer);
}

struct Sorted {
  std::string reasons;
  int answer = 0;
};
void to_json(nlohmann::json& json, const Sorted& value) {
  json = {{"reasons", value.reasons}, {"answer", value.answer}};
}
void from_json(const nlohmann::json& json, Sorted& value) {
  json.at("reasons").get_to(value.reasons);
  json.at("answer").get_to(value.answer);
}

struct Numbers {
  std::uint8_t byte = 0;
  int whole = 0;
  std::int64_t large = 0;
  float part = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Numbers, byte, whole, large, part)

struct Couple {
  std::pair<int, std::string> both;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Couple, both)

struct Tree {
  std::string name;
  std::vector<Tree> branches;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Tree, name, branches)

struct Place {
  std::string city;
  std::optional<std::string> country;
  std::optional<Step> step;
};
// As people write it for the versions of nlohmann/json that do not know std::optional.
template <class T>
void write_optional(nlohmann::json& json, const std::optional<T>& value) {
  json = value ? nlohmann::json(*value) : nlohmann::json();
}
template <class T>
void read_optional(const nlohmann::json& json, std::optional<T>& value) {
  if (json.is_null()) {
    value.reset();
  } else {
    value = json.get<T>();
  }
}
void to_json(nlohmann::json& json, const Place& place) {
  json["city"] = place.city;
  write_optional(json["country"], place.country);
  write_optional(json["step"], place.step);
}
void from_json(const nlohmann::json& json, Place& place) {
  json.at("city").get_to(place.city);
  read_optional(json.at("country"), place.country);
  read_optional(json.at("step"), place.step);
}

namespace {

/// A schema without what all objects have.
Json properties(const std::string& schema) { return Json::parse(schema)["properties"]; }

Json type(std::string_view name) { return {{"type", name}}; }

struct Lab {
  [[nodiscard]] FallbackClient client(const ScriptedProvider& model) const {
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    return FallbackClient{model, options};
  }

  VirtualRuntime world;
};

constexpr const char* soup =
    R"({"title": "Soup", "people": 2, "vegan": true, "mood": "bad",
        "steps": [{"what": "cook", "minutes": 5.5, "tools": ["pot"]}],
        "first": {"what": "", "minutes": 1, "tools": []}, "table": [[1, 2], []], "amounts": {"water": 2}})";

}  // namespace

TEST_CASE("a schema is derived from how a type is written, and from what its conversion accepts") {
  const Json schema = Json::parse(schema_of<Recipe>());
  CHECK(schema["type"] == "object");
  CHECK(schema["additionalProperties"] == false);
  CHECK(schema["required"].size() == 8);
  const Json& at = schema["properties"];
  CHECK(at["title"] == type("string"));
  CHECK(at["people"] == type("integer"));
  CHECK(at["vegan"] == type("boolean"));
  CHECK(at["mood"] == type("string"));
  CHECK(at["first"]["properties"]["minutes"] == type("number"));
  CHECK(at["steps"]["items"] == at["first"]);
  CHECK(at["first"]["properties"]["tools"]["items"] == type("string"));
  CHECK(at["table"]["items"]["items"] == type("integer"));
  CHECK(at["amounts"]["type"] == "object");
  CHECK(at["amounts"]["properties"].empty());
  CHECK(at["amounts"]["additionalProperties"] == type("integer"));
}

TEST_CASE("what is null by default may be null, and else what the conversion accepts") {
  const Json at = properties(schema_of<Place>());
  CHECK(at["country"] == Json({{"anyOf", {type("string"), type("null")}}}));
  CHECK(at["step"]["anyOf"][0]["properties"]["what"] == type("string"));
  CHECK(schema_of<std::vector<double>>() == R"({"type":"array","items":{"type":"number"}})");
  CHECK(schema_of<std::string>() == R"({"type":"string"})");
  CHECK(properties(schema_of(Place{"Oslo", "Norway", {}}))["country"] == type("string"));
  CHECK(schema_of<nlohmann::json>() == "{}");
}

TEST_CASE("a number that the type has no room for does not fit") {
  const auto objection = [](const char* json) { return detail::objection_to<Numbers>(Json::parse(json)); };
  CHECK_FALSE(objection(R"({"byte": 255, "whole": -2147483648, "large": 9223372036854775807, "part": 0.1})"));
  CHECK_FALSE(objection(R"({"byte": 1.0, "whole": 0, "large": 0, "part": 3})"));
  CHECK(objection(R"({"byte": 300, "whole": 0, "large": 0, "part": 0})") == "/byte is no number that fits there");
  CHECK(objection(R"({"byte": 0, "whole": 2147483648, "large": 0, "part": 0})") == "/whole is no number that fits there");
  CHECK(objection(R"({"byte": 0, "whole": 0, "large": 9223372036854775808, "part": 0})") ==
        "/large is no number that fits there");
  CHECK(objection(R"({"byte": 0, "whole": 0.5, "large": 0, "part": 0})") == "/whole is no number that fits there");
  CHECK(objection(R"({"byte": 0, "whole": 0, "large": 0, "part": 1e300})") == "/part is no number that fits there");
  CHECK(detail::objection_to<Mood>(Json("odd")) == "it is no word of those that are accepted");
}

TEST_CASE("an array of several types takes anything, and its answer is read") {
  CHECK(Json::parse(schema_of<Couple>())["properties"]["both"] == Json::parse(R"({"type": "array", "items": {}})"));
  Lab lab;
  const ScriptedProvider model{"one/a", {answer(R"({"both": [1, "z"]})")}};
  const auto reply = chat_as<Couple>(lab.client(model), "Two?");
  REQUIRE(reply);
  CHECK(reply->value.both == std::pair{1, std::string{"z"}});
}

TEST_CASE("a type that has itself among its members has a schema that ends") {
  const std::string schema = schema_of<Tree>();
  CHECK(schema.size() < 20'000);
  CHECK(properties(schema)["name"] == type("string"));
  CHECK(properties(schema)["branches"]["items"]["properties"]["name"] == type("string"));
  Lab lab;
  const auto tree = chat_as<Tree>(
      lab.client(ScriptedProvider{"one/a", {answer(R"({"name": "a", "branches": [{"name": "b", "branches": []}]})")}}),
      "A tree?");
  REQUIRE(tree);
  CHECK(tree->value.branches.at(0).name == "b");
}

TEST_CASE("an answer comes as a value of the application's own type") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer(soup)}};
  const auto reply = chat_as<Recipe>(lab.client(model), "A soup?");
  REQUIRE(reply);
  CHECK(reply->value.title == "Soup");
  CHECK(reply->value.mood == Mood::bad);
  CHECK(reply->value.steps.at(0).minutes == 5.5);
  CHECK(reply->response.json()->at("people") == 2);
  const auto format = model.sends()[0].request.response_format;
  REQUIRE(format);
  CHECK(format->type == ResponseFormat::Type::json_schema);
  CHECK(format->name == "answer");
  CHECK(format->schema == schema_of<Recipe>());
}

TEST_CASE("an answer that does not fit is sent back once with what is wrong with it") {
  Lab lab;
  std::string unknown_mood = soup;
  unknown_mood.replace(unknown_mood.find("bad"), 3, "odd");
  for (const auto& [wrong, why] : {std::pair<std::string, std::string>{R"({"title": 7})", "required property"},
                                   {unknown_mood, "/mood is no word of those that are accepted"},
                                   {"Here you are: soup!", ""}}) {
    CAPTURE(wrong);
    const ScriptedProvider model{"one/a", {answer(wrong), answer(soup)}};
    const auto reply = chat_as<Recipe>(lab.client(model), "A soup?");
    REQUIRE(reply);
    CHECK(reply->value.title == "Soup");
    REQUIRE(model.send_count() == 2);
    const std::vector<Message> asked = model.sends()[1].request.messages;
    REQUIRE(asked.size() == 3);
    CHECK(text_of(asked[1].parts) == wrong);
    CHECK_THAT(text_of(asked[2].parts), ContainsSubstring(why));
  }
  const ScriptedProvider stubborn{"one/a", {answer("no")}};
  const auto reply = chat_as<Recipe>(lab.client(stubborn), "A soup?");
  REQUIRE_FALSE(reply);
  CHECK(reply.error().kind == ErrorKind::rejected_response);
  CHECK(stubborn.send_count() == 2);
  CHECK_FALSE(chat_as<Recipe>(lab.client(stubborn), "A soup?", {.repair = 0}));
  CHECK(stubborn.send_count() == 3);
}

TEST_CASE("a type that is no object is asked for as the member of one") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer(R"({"value": [1, 2]})"), answer(R"({"value": "Oslo"})")}};
  const FallbackClient client = lab.client(model);
  CHECK(chat_as<std::vector<int>>(client, "Two numbers?")->value == std::vector<int>{1, 2});
  CHECK(chat_as<std::string>(client, "A city?")->value == "Oslo");
  CHECK(properties(model.sends()[0].request.response_format->schema)["value"]["items"] == type("integer"));
}

TEST_CASE("a given schema goes before the derived one") {
  Lab lab;
  const std::string schema =
      R"({"type":"object","properties":{"city":{"enum":["Oslo"]}},"required":["city","country","step"]})";
  const ScriptedProvider model{"one/a", {answer(R"({"city": "Rome", "country": null, "step": null})"),
                                         answer("```json\n"
                                                R"({"city": "Oslo", "country": null, "step": null})"
                                                "\n```")}};
  const auto reply = chat_as<Place>(lab.client(model), "Where?", {.schema = schema, .name = "place"});
  REQUIRE(reply);
  CHECK(reply->value.city == "Oslo");
  CHECK(model.send_count() == 2);
  CHECK(model.sends()[0].request.response_format->schema == schema);
  CHECK(model.sends()[0].request.response_format->name == "place");

  ChatRequest request{"Where?"};
  request.response_format = ResponseFormat{ResponseFormat::Type::json_schema, "mine", schema, "", true};
  REQUIRE(chat_as<Place>(lab.client(ScriptedProvider{model}), request));
  CHECK(model.sends()[2].request.response_format == request.response_format);
  const auto wrong = chat_as<Place>(lab.client(model), "Where?", {.schema = R"({"type": 3})"});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::invalid_request);
}

TEST_CASE("a given schema of a list may refer to its own definitions") {
  Lab lab;
  const ScriptedProvider model{"one/a", {answer(R"({"value": [{"x": 1}, {"x": 2}]})")}};
  for (const std::string schema :
       {R"({"type": "array", "items": {"$ref": "#/$defs/P"}, "$defs": {"P": {"type": "object", "required": ["x"]}}})",
        R"({"type": "array", "items": {"$ref": "#/definitions/P"}, "definitions": {"P": {"required": ["x"]}}})"}) {
    TypedOptions options;
    options.schema = schema;
    const auto reply = chat_as<std::vector<std::map<std::string, int>>>(lab.client(model), "points", options);
    REQUIRE(reply);
    CHECK(reply->value.size() == 2);
  }
}

TEST_CASE("the options of the call hold for typed answers, a policy around it too") {
  Lab lab;
  const ScriptedProvider slow{"one/a", {silence()}};
  const auto late = chat_as<Recipe>(lab.client(slow), "A soup?", {.call = {.limits = {.deadline = 3s}}});
  REQUIRE_FALSE(late);
  CHECK(late.error().kind == ErrorKind::deadline_exceeded);

  // What a policy around the call makes of an answer is judged too.
  const Policy spoilt = intercept({.after = [](const ChatRequest&, Result<ChatResponse>& result) {
    if (result) result->parts = {Text{"no JSON"}};
  }});
  const ScriptedProvider good{"one/a", {answer(soup)}};
  const auto refused = chat_as<Recipe>(lab.client(good), "A soup?", {.call = {.around = spoilt}, .repair = 0});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::rejected_response);
}

TEST_CASE("the text of an answer as JSON, with and without the fence of a block") {
  const auto json = [](std::string text) {
    ChatResponse response;
    response.parts.emplace_back(Text{std::move(text)});
    return response.json();
  };
  CHECK(json(" {\"a\": 1} ")->at("a") == 1);
  CHECK(json("```json\n[1]\n```\n")->at(0) == 1);
  CHECK(json("```\n\"x\"```").value() == "x");
  for (const char* wrong : {"", "```", "``````", "```json```", "```json\n```", "{\"a\": secret}"}) {
    CAPTURE(wrong);
    const auto result = json(wrong);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::malformed_response);
    CHECK_THAT(result.error().message, !ContainsSubstring("secret"));
  }
}

TEST_CASE("a typed tool takes and gives the application's own types") {
  std::vector<std::string> seen;
  const Tools tools{
      typed_tool("cook", "Cooks.", [&](const Step& step) {
        seen.push_back(step.what);
        Recipe recipe;
        recipe.title = step.what;
        return recipe;
      }),
      typed_tool("now", "The time.", [] { return "noon"; }),
      typed_tool("count", "Counts.", [](Step, const std::stop_token& stop) { return stop.stop_possible() ? 1 : 2; }),
      typed_tool("stop", "Stops.", [](const std::stop_token&) {}),
      typed_tool("fail", "Fails.",
                 [](const Place& place) { return Result<int>{Error{ErrorKind::timeout, place.city}}; }),
      typed_tool("throw", "Throws.", [](const Place&) -> int { throw std::runtime_error{"no"}; }),
      typed_tool("given", "Given.", [](const Json& any) { return any["x"].get<int>() + 1; },
                 R"({"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]})")};
  REQUIRE(tools.list().size() == 7);
  CHECK(tools.list()[0].parameters == schema_of<Step>());
  CHECK(tools.list()[1].parameters.empty());
  const std::string step = R"({"what": "boil", "minutes": 1, "tools": []})";
  const std::string place = R"({"city": "Oslo", "country": null, "step": null})";
  const ToolResult cooked = tools.call({"a", "cook", step});
  CHECK_FALSE(cooked.is_error);
  CHECK(cooked.call_id == "a");
  CHECK(Json::parse(cooked.text)["title"] == "boil");
  CHECK(seen == std::vector<std::string>{"boil"});
  CHECK(tools.call({"b", "now", ""}).text == "noon");
  CHECK(tools.call({"c", "count", step}, std::stop_source{}.get_token()).text == "1");
  CHECK(tools.call({"d", "stop", "{}"}).text == "done");
  CHECK(tools.call({"e", "fail", place}) == ToolResult{"e", "Oslo", true});
  CHECK(tools.call({"f", "throw", place}) == ToolResult{"f", "no", true});
  CHECK(tools.call({"g", "given", R"({"x": 2})"}).text == "3");
  CHECK_THAT(tools.call({"h", "cook", R"({"what": 1})"}).text, ContainsSubstring("the arguments: "));
  CHECK(tools.call({"i", "cook", R"({"what": 1})"}).is_error);
  CHECK(seen.size() == 1);
}

TEST_CASE("keys of a derived schema stand as the type writes them: in order, or sorted by nlohmann::json") {
  const auto keys = [](const std::string& schema) { return Json::parse(schema).at("required"); };
  CHECK(keys(schema_of<InOrder>()) == Json{"reasons", "answer"});
  CHECK(keys(schema_of<Sorted>()) == Json{"answer", "reasons"});
}

TEST_CASE("a typed tool takes an object, or nothing") {
  CHECK_THROWS_AS(typed_tool("one", "", [](const std::vector<int>&) { return 1; }), std::invalid_argument);
}

}  // namespace typed_test
