#include "schema/schema.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace schema_test {

using namespace backstop;
using backstop::detail::Schema;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

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
  // Exponential without a bound: every level asks for the next twice.
  std::string schema = R"({"$defs": {"d0": {"type": "string"})";
  for (int i = 1; i <= 40; ++i) {
    const std::string before = R"({"$ref": "#/$defs/d)" + std::to_string(i - 1) + "\"}";
    schema += ", \"d" + std::to_string(i) + R"(": {"anyOf": [)" + before + ", " + before + "]}";
  }
  schema += R"(}, "$ref": "#/$defs/d40"})";
  CHECK_THAT(compile_error(schema), ContainsSubstring("too many schemas to one value"));
  CHECK(check("{\"pattern\": \"^(a+)+$\"}", '"' + std::string(100'000, 'a') + "!\"") ==
        "the value does not match its pattern");
}

TEST_CASE("a schema that applies itself to the same value is refused before there is an answer") {
  const auto circle_at = [](std::string_view place) {
    return StartsWith("`" + std::string{place} + "` applies itself to the same value, in a circle");
  };
  CHECK_THAT(compile_error(R"({"$ref": "#"})"), circle_at("/"));
  CHECK_THAT(compile_error(R"({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})"), circle_at("/"));
  CHECK_THAT(compile_error(R"({"anyOf": [{"type": "string"}, {"$ref": "#"}]})"), circle_at("/"));
  CHECK_THAT(compile_error(R"({"not": {"$ref": "#/not"}})"), circle_at("/not"));
  CHECK_THAT(compile_error(R"({"if": {"$ref": "#"}})"), circle_at("/"));
  CHECK_THAT(compile_error(R"({"if": true, "else": {"oneOf": [{"$ref": "#/else"}]}})"), circle_at("/else"));
  CHECK_THAT(compile_error(R"({"dependentSchemas": {"a": {"$ref": "#"}}})"), circle_at("/"));
  CHECK_THAT(compile_error(R"({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})"),
             circle_at("/$defs/a"));
  CHECK(compile_error(R"({"properties": {"next": {"$ref": "#"}}, "items": {"anyOf": [{"$ref": "#"}, true]}})").empty());
  CHECK(compile_error(R"({"then": {"$ref": "#"}})").empty());  // nothing without an `if`
}

TEST_CASE("references in a long row are read without recursion, and refused where they are too many for one value") {
  const auto row_of = [](int count, const std::string& keyword) {
    std::string schema = R"({"$defs": {"d0": true)";
    for (int i = 1; i <= count; ++i) {
      schema += fmt::format(R"(, "d{}": {{"{}": {{"$ref": "#/$defs/d{}"}}}})", i, keyword, i - 1);
    }
    return schema + fmt::format(R"(}}, "$ref": "#/$defs/d{}"}})", count);
  };
  CHECK(compile_error(row_of(200, "not")).empty());
  CHECK_THAT(compile_error(row_of(20'000, "not")), ContainsSubstring("too many schemas to one value"));
  CHECK(compile_error(row_of(20'000, "items")).empty());
}

TEST_CASE("a schema that nothing could match is refused before there is an answer") {
  CHECK(compile_error(R"({"minimum": 3, "maximum": 2})") == "`/minimum` must not be above `maximum`");
  CHECK(compile_error(R"({"minLength": 3, "maxLength": 2})") == "`/minLength` must not be above `maxLength`");
  CHECK(compile_error(R"({"minItems": 3, "maxItems": 2})") == "`/minItems` must not be above `maxItems`");
  CHECK(compile_error(R"({"minProperties": 3, "maxProperties": 2})") == "`/minProperties` must not be above `maxProperties`");
  CHECK(compile_error(R"({"contains": true, "maxContains": 0})") == "`/minContains` must not be above `maxContains`");
  CHECK(compile_error(R"({"exclusiveMinimum": 3, "exclusiveMaximum": 3})") ==
        "`/exclusiveMinimum` must be below `exclusiveMaximum`");
  CHECK(compile_error(R"({"exclusiveMinimum": 3, "maximum": 3})") == "`/exclusiveMinimum` must be below `maximum`");
  CHECK(compile_error(R"({"minimum": 3, "exclusiveMaximum": 3})") == "`/minimum` must be below `exclusiveMaximum`");
  CHECK_THAT(compile_error(R"({"items": {"enum": []}})"), StartsWith("`/items/enum` must be an array of values"));
  CHECK_THAT(compile_error(R"({"required": ["a", "b"], "properties": {"a": true}, "additionalProperties": false})"),
             StartsWith(R"(`/required` names "b", which must stand in `properties`)"));
  CHECK(compile_error(R"({"required": ["b"], "patternProperties": {"b": true}, "additionalProperties": false})").empty());
  CHECK(compile_error(R"({"minimum": 3, "maximum": 3, "minLength": 2, "maxLength": 2})").empty());
}

TEST_CASE("a key that stands twice is told, with the names that the schema has") {
  const std::string_view schema = R"({"properties": {"list": {"items": {"properties": {"id": true}}}}})";
  CHECK(check(schema, R"({"list": [{"id": 1}, {"id": 1, "x": 2, "id": 1}]})") == "/list/*/id stands twice in its object");
  CHECK(check(schema, R"({"secret": {"secret": 1, "secret": 2}})") == "/*/* stands twice in its object");
  CHECK(check("true", R"([[{"a": 1, "b": 2, "\u0061": 3}]])") == "/*/*/* stands twice in its object");
  CHECK(check("true", R"([{"a": 1}, {"a": 1, "b": {"a": 1}}])").empty());
  CHECK(compile_error(R"({"properties": {"a/b": true, "a/b": false}})") ==
        "`/properties/a~1b` stands twice in its object; a key is accepted once");
}

TEST_CASE("numbers are what their digits say") {
  struct Row {
    std::string_view schema;
    std::string_view fits;
    std::string_view fits_not;
  };
  for (const Row& row : {
           Row{R"({"multipleOf": 10})", "1000000000000000000000", "1000000000000000000001"},
           Row{R"({"multipleOf": 2})", "9007199254740994", "9007199254740993"},
           Row{R"({"multipleOf": 3})", "1000000000000000002", "1000000000000000003"},
           Row{R"({"multipleOf": 0.000000002})", "2.000000002", "2.000000001"},
           Row{R"({"multipleOf": 1e-9})", "2.000000001", "2.0000000001"},
           Row{R"({"multipleOf": 0.01})", "1000000000000.01", "1000000000000.015"},
           Row{R"({"multipleOf": 0.1})", "0.3", "0.35"},
           Row{R"({"multipleOf": 7})", "-14", "-15"},
           Row{R"({"multipleOf": 999999999999999999})", "1999999999999999998", "1999999999999999999"},
           Row{R"({"multipleOf": 64})", "1e300", "1e5"},
           Row{R"({"multipleOf": 300})", "3e300", "1e300"},
           Row{R"({"minimum": 9007199254740993})", "9007199254740993", "9007199254740992.0"},
           Row{R"({"maximum": 9223372036854775807})", "9223372036854775807", "9223372036854775808"},
           Row{R"({"maximum": 18446744073709551615})", "1.8446744073709551615e19", "18446744073709551616"},
           Row{R"({"exclusiveMinimum": -9223372036854775809})", "-9223372036854775808", "-9223372036854775809"},
           Row{R"({"exclusiveMaximum": 0.1})", "0.09999999999999999999", "0.10"},
           Row{R"({"minimum": -2})", "-19e-1", "-21e-1"},
           Row{R"({"const": 9007199254740993})", "9007199254740993.0", "9007199254740992"},
           Row{R"({"const": 18446744073709551615})", "18446744073709551615", "1.8446744073709552e19"},
           Row{R"({"const": 0})", "-0.0", "1e-400"},
           Row{R"({"enum": [-1, 1e2]})", "100.00", "100.00000000000000000001"},
           Row{R"({"uniqueItems": true})", "[9007199254740992, 9007199254740993]", "[9007199254740993, 9007199254740993.0]"},
           Row{R"({"uniqueItems": true})", "[1, true, \"1\"]", "[1e2, 100]"},
           Row{R"({"type": "integer"})", "1e300", "1e-1"},
           Row{R"({"type": "integer"})", "1.0", "9007199254740993.5"},
           Row{R"({"type": "integer"})", "-0.00", "10000000000000000000000000.1"},
           Row{R"({"minLength": 2.0})", R"("ab")", R"("a")"},
       }) {
    INFO(row.schema << ", " << row.fits << " and " << row.fits_not);
    CHECK(check(row.schema, row.fits).empty());
    CHECK_FALSE(check(row.schema, row.fits_not).empty());
  }
  CHECK_THAT(compile_error(R"({"multipleOf": 1.234567890123456789})"), ContainsSubstring("must have at most 18 digits"));
  CHECK_THAT(compile_error(R"({"multipleOf": 0})"), ContainsSubstring("must be above zero"));
  CHECK_THAT(compile_error(R"({"maxLength": 1.5})"), ContainsSubstring("must be a whole number"));
  CHECK_THAT(compile_error(R"({"maxLength": 1e300})"), ContainsSubstring("must be a whole number"));
  CHECK_THAT(check("true", "1e999"), ContainsSubstring("out of range"));
  CHECK_THAT(check("true", "1e-9999999999999999999999"), ContainsSubstring("out of range"));
}

TEST_CASE("whatever grows with the answer or the schema is bounded") {
  const auto list = [](int count, const auto& item) {
    std::string json = "[";
    for (int i = 0; i < count; ++i) json.append(i > 0 ? ", " : "").append(item(i));
    return json + "]";
  };
  const auto object = [](int count, const auto& member) {
    std::string json = "{";
    for (int i = 0; i < count; ++i) json.append(i > 0 ? ", " : "").append(member(i));
    return json + "}";
  };
  const auto same = [](std::string text) { return [text = std::move(text)](int) { return text; }; };
  const auto all_of = [&](int count, const std::string& schema) {
    return R"({"allOf": )" + list(count, same(schema)) + "}";
  };
  const auto for_items = [](const std::string& schema) { return R"({"items": )" + schema + "}"; };
  const auto keys = [&](int count) { return object(count, [](int i) { return fmt::format(R"("k{}": 1)", i); }); };
  const std::string large = list(1'000, same("1"));
  const std::string long_text = '"' + std::string(20'000, 'x') + '"';
  const std::string a_thousand = list(1'000, same(R"("a")"));
  const std::string with_a = list(1'000, same(R"({"a": 1})"));
  struct Row {
    const char* what;
    std::string schema;
    std::string json;
  };
  for (const Row& row : {
           Row{"pattern", all_of(10, R"({"not": {"pattern": "^(a+)+$"}})"), '"' + std::string(40'000, 'a') + "!\""},
           Row{"pattern, of empty texts", for_items(R"({"pattern": "(ab?){0,1000}"})"), list(10'000, same(R"("")"))},
           Row{"patternProperties",
               R"({"patternProperties": )" +
                   object(1'000, [](int i) { return fmt::format(R"("^x{}": true)", i); }) + "}",
               keys(1'000)},
           Row{"propertyNames", all_of(1'000, R"({"propertyNames": {"maxLength": 30000}})"), "{" + long_text + ": 1}"},
           Row{"properties", all_of(100, R"({"properties": {"a": true}})"), keys(5'000)},
           Row{"required", for_items(R"({"required": )" + a_thousand + "}"), with_a},
           Row{"dependentRequired", for_items(R"({"dependentRequired": {"a": )" + a_thousand + "}}"), with_a},
           Row{"uniqueItems, of lists", all_of(50, R"({"uniqueItems": true})"),
               list(20, [&](int i) { return fmt::format("[{}, {}]", large, i); })},
           Row{"uniqueItems, of numbers", all_of(100, R"({"uniqueItems": true})"),
               list(2'000, [](int i) { return fmt::format("{}", i); })},
           Row{"enum", for_items(all_of(50, R"({"enum": [)" + large + "]}")), list(10, same(large))},
           Row{"const", for_items(all_of(50, R"({"const": )" + large + "}")), list(20, same(large))},
           Row{"contains", R"({"contains": )" + all_of(100, "{}") + R"(, "minContains": 5000})", list(5'000, same("1"))},
           Row{"items", all_of(100, for_items("{}")), list(4'000, same("1"))},
           Row{"allOf", for_items(all_of(1'000, "{}")), list(1'000, same("1"))},
           Row{"maxLength", for_items(all_of(1'000, R"({"maxLength": 30000})")), list(10, same(long_text))},
           Row{"multipleOf", for_items(all_of(100, R"({"multipleOf": 7})")),
               list(100, same(std::string(300, '7')))},
       }) {
    INFO(row.what);
    CHECK_THAT(check(row.schema, row.json), ContainsSubstring("takes too long"));
  }
  // Large ones of the usual kind are checked to their end.
  const std::string properties = object(2'000, [](int i) { return fmt::format(R"("k{}": {{"type": "integer"}})", i); });
  CHECK(check(R"({"properties": )" + properties + "}", keys(2'000)).empty());
  CHECK(check(R"({"uniqueItems": true})", list(10'000, [](int i) { return fmt::format("{}", i); })).empty());
}

TEST_CASE("what is said of a schema and of a value has an end") {
  const std::string name(2'000, 'n');
  const std::string of_schema = compile_error(R"({"properties": {")" + name + R"(": {"nullable": true}}})");
  CHECK_THAT(of_schema, EndsWith("n...` is not a keyword that is known here"));
  CHECK(of_schema.size() < 400);
  const std::string of_value = check(R"({"properties": {")" + name + R"(": {"type": "null"}}})", "{\"" + name + "\": 1}");
  CHECK_THAT(of_value, EndsWith("n... must be null and is an integer"));
  CHECK(of_value.size() < 400);
  CHECK(check(R"({"required": [")" + name + R"("]})", "{}").size() == 500);
}

TEST_CASE("a recursive schema follows a value to its depth") {
  std::string json;
  for (int i = 0; i < 400; ++i) json += R"({"next":)";
  json += "1" + std::string(400, '}');
  CHECK_THAT(check(R"({"type": "object", "properties": {"next": {"$ref": "#"}}})", json),
             ContainsSubstring("must be an object and is an integer"));
}

}  // namespace schema_test
