#include "providers/anthropic/schema.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

namespace anthropic_schema_test {

using namespace backstop;
using Json = nlohmann::ordered_json;

TEST_CASE("every constraint that the wire refuses moves into the description") {
  for (const char* name : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
                           "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties",
                           "maxProperties", "not"}) {
    CAPTURE(name);
    const Json out = detail::anthropic_schema(Json{{"type", "string"}, {name, 1}});
    CHECK_FALSE(out.contains(name));
    CHECK(out["description"] == std::string{name} + ": 1");
  }
  for (const char* name : {"enum", "const", "default", "title", "required", "additionalItems"}) {
    CAPTURE(name);
    CHECK(detail::anthropic_schema(Json{{"type", "string"}, {name, 1}})[name] == 1);
  }
}

TEST_CASE("every format that the wire knows stays, another moves into the description") {
  for (const char* name :
       {"date-time", "date", "time", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}) {
    CAPTURE(name);
    const Json schema{{"type", "string"}, {"format", name}};
    CHECK(detail::anthropic_schema(schema) == schema);
  }
  CHECK(detail::anthropic_schema(Json{{"type", "string"}, {"format", "regex"}}) ==
        Json{{"type", "string"}, {"description", "format: \"regex\""}});
}

TEST_CASE("schemas are reduced wherever they stand inside others") {
  const Json refused = Json::parse(R"({"type": "integer", "minimum": 1})");
  const Json reduced = Json::parse(R"({"type": "integer", "description": "minimum: 1"})");
  for (const char* name : {"properties", "$defs", "definitions"}) {
    CAPTURE(name);
    CHECK(detail::anthropic_schema(Json{{name, {{"a", refused}}}})[name] == Json{{"a", reduced}});
  }
  for (const char* name : {"anyOf", "allOf", "prefixItems"}) {
    CAPTURE(name);
    CHECK(detail::anthropic_schema(Json{{name, Json::array({refused, refused})}})[name] ==
          Json::array({reduced, reduced}));
  }
  CHECK(detail::anthropic_schema(Json{{"oneOf", Json::array({refused})}}) == Json{{"anyOf", Json::array({reduced})}});
  CHECK(detail::anthropic_schema(Json{{"items", refused}}) == Json{{"items", reduced}});
}

TEST_CASE("objects are closed, and references stand alone but for definitions") {
  CHECK(detail::anthropic_schema(Json::parse(R"({"type": "object", "additionalProperties": true})")) ==
        Json::parse(R"({"type": "object", "additionalProperties": false})"));
  CHECK(detail::anthropic_schema(Json::parse(R"({"properties": {}})"))["additionalProperties"] == false);
  const Json reference = Json::parse(R"({"$ref": "#/definitions/a", "title": "x", "definitions": {"a": {}}})");
  CHECK(detail::anthropic_schema(reference) == Json::parse(R"({"$ref": "#/definitions/a", "definitions": {"a": {}}})"));
}

}  // namespace anthropic_schema_test
