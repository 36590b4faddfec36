#include "schema/schema.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace schema_test {

using namespace backstop;
using backstop::detail::Schema;
using Catch::Matchers::ContainsSubstring;

namespace {

/// What is wrong with the value; "" when it matches.
std::string check(std::string_view schema, std::string_view json) {
  const Result<Schema> compiled = Schema::compile(schema);
  REQUIRE(compiled);
  return compiled->check(json).value_or("");
}

std::string compile_error(std::string_view schema) {
  const Result<Schema> compiled = Schema::compile(schema);
  return compiled ? "" : compiled.error().message;
}

}  // namespace

TEST_CASE("what does not match a schema is told with its place and without its value") {
  struct Row {
    std::string_view schema;
    std::string_view json;
    std::string_view says;
  };
  const std::vector<Row> rows{
      {R"({"type": "object", "properties": {"price": {"type": "number"}}})", R"({"price": "secret"})",
       "/price must be a number and is a string"},
      {R"({"items": {"required": ["id"]}})", R"([{"id": 1}, {}])", "/* lacks the required property \"id\""},
      {R"({"prefixItems": [true, {"type": "integer"}]})", R"([1, 1.5])", "/1 must be an integer and is a number"},
      {R"({"additionalProperties": false, "properties": {"a": true}})", R"({"secret": 1})",
       "the value has a property that the schema does not have"},
      {R"({"additionalProperties": {"type": "null"}})", R"({"secret": 1})", "/* must be null and is an integer"},
      {R"({"enum": ["a", "b"]})", R"("secret")", "is none of the 2 accepted values"},
      {R"({"const": 1})", "2", "is not the one accepted value"},
      {R"({"pattern": "^a+$"})", R"("secret")", "does not match its pattern"},
      {R"({"minLength": 3})", R"("äö")", "is shorter than 3 characters"},
      {R"({"maxItems": 1})", "[1, 2]", "has more than 1 items"},
      {R"({"anyOf": [{"type": "null"}, {"type": "string"}]})", "1", "matches none of 2 alternatives"},
      {R"({"oneOf": [true, true]})", "1", "matches 2 of 2 alternatives and must match one"},
      {R"({"not": {"type": "integer"}})", "1", "matches what it must not"},
      {R"({"dependentRequired": {"a": ["b"]}})", R"({"a": 1})", "lacks the property \"b\", which \"a\" needs"},
      {R"({"contains": {"type": "string"}, "minContains": 2})", R"(["x", 1])", "has 1 items of the kind"},
      {R"({"propertyNames": {"maxLength": 2}})", R"({"secret": 1})", "has a property whose name is not allowed"},
      {R"({"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}},
           "required": ["id"]}}})",
       R"({"id": 1, "next": {"next": {}}})", "/next lacks the required property \"id\""},
      {"{}", "{\"a\": ", "broken JSON at line 1, column 7"},
      {"false", "1", "is not allowed"},
  };
  for (const Row& row : rows) {
    INFO(row.schema << " and " << row.json);
    const std::string said = check(row.schema, row.json);
    CHECK_THAT(said, ContainsSubstring(std::string{row.says}));
    CHECK_THAT(said, !ContainsSubstring("secret"));
  }
}

TEST_CASE("what matches a schema is not told of") {
  CHECK(check("{}", R"({"a": [1, null]})").empty());
  CHECK(check("true", "1").empty());
  CHECK(check(R"({"type": "integer", "minimum": 1, "exclusiveMaximum": 10, "multipleOf": 0.5})", "9.0").empty());
  CHECK(check(R"({"type": ["string", "null"], "format": "email", "title": "t", "default": 3})", R"("no address")").empty());
  CHECK(check(R"({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"maxProperties": 1}})", R"({"c": 1})")
            .empty());
}

TEST_CASE("a keyword that is not known is an error and is not ignored") {
  CHECK_THAT(compile_error(R"({"properties": {"a": {"nullable": true}}})"),
             ContainsSubstring("`/properties/a/nullable` is not a keyword that is known here"));
  CHECK_THAT(compile_error(R"({"unevaluatedProperties": false})"), ContainsSubstring("unevaluatedProperties"));
  CHECK_THAT(compile_error(R"({"type": "text"})"), ContainsSubstring("`/type` must be a type of JSON"));
  CHECK_THAT(compile_error(R"({"$ref": "https://example.org/schema"})"), ContainsSubstring("nothing is fetched"));
  CHECK_THAT(compile_error(R"({"$ref": "#/$defs/none"})"), ContainsSubstring("leads to nothing"));
  CHECK_THAT(compile_error(R"({"$defs": {"a": {"$id": "x"}}})"), ContainsSubstring("at the top"));
  CHECK_THAT(compile_error(R"({"$defs": {"a": {"minimun": 1}}})"), ContainsSubstring("minimun"));
  CHECK_THAT(compile_error("{\"pattern\": \"(?=a)\"}"), ContainsSubstring("look-ahead"));
  CHECK_THAT(compile_error(R"({"minLength": -1})"), ContainsSubstring("whole number"));
  CHECK_THAT(compile_error(R"({"anyOf": []})"), ContainsSubstring("array of schemas"));
  CHECK_THAT(compile_error("{"), ContainsSubstring("broken JSON"));
  CHECK_THAT(compile_error("3"), ContainsSubstring("must be a schema"));
}

TEST_CASE("hostile schemas and answers end in bounded time and depth") {
  const std::string deep = std::string(20'000, '[') + std::string(20'000, ']');
  CHECK_THAT(check("{}", deep), ContainsSubstring("nested too deeply"));
  CHECK_THAT(compile_error(deep), ContainsSubstring("nested too deeply"));
  CHECK_THAT(check(R"({"$ref": "#"})", "1"), ContainsSubstring("takes too long"));
  CHECK_THAT(check(R"({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})", "1"), ContainsSubstring("takes too long"));
  // Exponential without a bound: every level asks for the next twice.
  std::string schema = R"({"$defs": {"d0": {"type": "string"})";
  for (int i = 1; i <= 40; ++i) {
    const std::string before = R"({"$ref": "#/$defs/d)" + std::to_string(i - 1) + "\"}";
    schema += ", \"d" + std::to_string(i) + R"(": {"anyOf": [)" + before + ", " + before + "]}";
  }
  schema += R"(}, "$ref": "#/$defs/d40"})";
  const auto start = std::chrono::steady_clock::now();
  CHECK_THAT(check(schema, "1"), ContainsSubstring("takes too long"));
  CHECK(check("{\"pattern\": \"^(a+)+$\"}", '"' + std::string(100'000, 'a') + "!\"") ==
        "the value does not match its pattern");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds{30});
}

TEST_CASE("a recursive schema follows a value to its depth") {
  std::string json;
  for (int i = 0; i < 400; ++i) json += R"({"next":)";
  json += "1" + std::string(400, '}');
  CHECK_THAT(check(R"({"type": "object", "properties": {"next": {"$ref": "#"}}})", json),
             ContainsSubstring("must be an object and is an integer"));
}

}  // namespace schema_test
