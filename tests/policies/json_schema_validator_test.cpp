// By the package where it is installed and asked for, else by a stand-in for it.

#include "backstop/policies/json_schema_validator.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <stdexcept>
#include <string>

#include "backstop/policies/accept_if.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace json_schema_validator_test {

using namespace backstop;
using namespace backstop::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr const char* schema =
    R"({"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": false})";

}  // namespace

TEST_CASE("the package's validator says where an answer is at fault, and quotes nothing of it") {
  const SchemaValidator validator = json_schema_validator();
  CHECK_FALSE(validator(schema, R"({"city": "Rome"})"));
  CHECK(validator(schema, R"({"city": 7})") == "it does not match the schema at /city");
  CHECK(validator(schema, R"({"secret": 7})").value_or("").find("secret") == std::string::npos);
  CHECK(validator(schema, "[]") == "it does not match the schema at its top");
  CHECK(validator(schema, "{") == "it is not JSON");
  CHECK_THROWS_AS(validator("[1]", "{}"), std::invalid_argument);
}

TEST_CASE("the package's validator takes the library's place in a floor") {
  VirtualRuntime runtime;
  ChatRequest request{"Where?"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = schema};
  const Policy floor = accept_if(matches_schema({.validator = json_schema_validator()}), {.repair = 1});
  const ScriptedProvider model{"a/m", {answer(R"({"city": 7})"), answer(R"({"city": "Rome"})")}};
  const auto reply = runtime.call(model | floor, request);
  REQUIRE(reply);
  REQUIRE(reply->attempts.size() == 2);
  CHECK_THAT(reply->attempts[0].reason, ContainsSubstring("does not match the schema at /city"));

  const ScriptedProvider another{"a/m", {answer("{}")}};
  request.response_format->schema = "[1]";
  const auto refused = runtime.call(another | floor, request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::invalid_request);
}

}  // namespace json_schema_validator_test
