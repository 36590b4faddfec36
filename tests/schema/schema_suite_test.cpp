// The official JSON-Schema-Test-Suite (Debian: json-schema-test-suite), draft 7: what of it is about keywords that
// are meant to be known here. Skipped where it is not installed.

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "schema/schema.hpp"

namespace schema_suite_test {

using backstop::detail::Schema;
using nlohmann::json;

namespace {

constexpr std::string_view suite = "/usr/share/json-schema-test-suite/tests/draft7";

/// About documents that would have to be fetched, such as the schema of schemas.
constexpr std::array<std::string_view, 2> files_of_remote_schemas{"definitions.json", "refRemote.json"};

struct Exception {
  std::string_view group;
  std::string_view why;
};
constexpr std::array exceptions{
    Exception{"ref overrides any sibling keywords", "since draft 2019-09 those beside `$ref` hold, too"},
    Exception{"remote ref, containing refs itself", "nothing is fetched"},
    Exception{"escaped pointer ref", "the schema has parts of its own under unknown keywords"},
    Exception{"Recursive references between schemas", "`$id` inside a schema is refused"},
    Exception{"Location-independent identifier", "`$id` inside a schema is refused"},
    Exception{"refs with quote", ""},
    Exception{"Location-independent identifier with base URI change in subschema", "`$id` inside a schema is refused"},
};

bool is_exception(const std::string& group) {
  return std::any_of(exceptions.begin(), exceptions.end(), [&](const Exception& one) { return one.group == group; });
}

}  // namespace

TEST_CASE("the official test suite of JSON Schema agrees") {
  if (!std::filesystem::is_directory(suite)) SKIP("json-schema-test-suite is not installed");
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator{suite}) {
    const std::string file = entry.path().filename().string();
    if (entry.path().extension() != ".json") continue;
    if (std::find(files_of_remote_schemas.begin(), files_of_remote_schemas.end(), file) != files_of_remote_schemas.end()) continue;
    std::ifstream stream{entry.path()};
    for (const json& group : json::parse(stream)) {
      const std::string name = group["description"];
      INFO(file << ": " << name);
      if (is_exception(name)) continue;
      const auto schema = Schema::compile(group["schema"].dump());
      if (!schema) FAIL_CHECK(schema.error().message);
      if (!schema) continue;
      for (const json& test : group["tests"]) {
        INFO(test["description"]);
        const auto problem = schema->check(test["data"].dump());
        INFO(problem.value_or("it matches"));
        CHECK(problem.has_value() != test["valid"].get<bool>());
        ++checked;
      }
    }
  }
  CHECK(checked > 380);
}

}  // namespace schema_suite_test
