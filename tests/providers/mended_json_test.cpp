#include "providers/wire/mended_json.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "providers/wire/json_document.hpp"

namespace mended_json_test {

using namespace backstop::detail;

namespace {

/// What a reader gets of the member `a`.
std::string text_in(std::string_view json) {
  const JsonDocument document{json};
  REQUIRE(document.valid());
  const WrittenText text{member(document.root(), "a")};
  return text.readable() ? std::string{text.view()} : "(unreadable)";
}

}  // namespace

TEST_CASE("a scalar where text is expected is that text") {
  struct Row {
    std::string_view json;
    std::string_view text;
  };
  for (const Row& row : std::vector<Row>{
           {R"({"a": "six"})", "six"},
           {R"({"a": 6})", "6"},
           {R"({"a": -7})", "-7"},
           {R"({"a": 18446744073709551615})", "18446744073709551615"},
           {R"({"a": 99999999999999999999999})", "99999999999999999999999"},
           {R"({"a": 0.5})", "0.5"},
           {R"({"a": 1.0})", "1.0"},
           {R"({"a": 100000.0})", "100000.0"},
           {R"({"a": 1e300})", "1e+300"},
           {R"({"a": 1e400})", "1e400"},
           {R"({"a": 007})", "007"},
           {R"({"a": true})", "true"},
           {R"({"a": NaN})", "NaN"},
           {R"({"a": null})", ""},
           {R"({"b": 1})", ""},
           {R"({"a": {"b": 1}})", "(unreadable)"},
           {R"({"a": [1]})", "(unreadable)"},
       }) {
    CAPTURE(row.json);
    CHECK(text_in(row.json) == row.text);
  }
}

TEST_CASE("what nobody needs does not make a document unreadable") {
  for (const std::string_view odd :
       {"NaN", "-Infinity", "99999999999999999999999", "-1e999", "None", "undefined", "01", "+1", ".5", "0x1F"}) {
    CAPTURE(odd);
    const std::string json = R"({"odd": )" + std::string{odd} + R"(, "a": "fine", "list": [)" + std::string{odd} + "]}";
    CHECK(text_in(json) == "fine");
  }
  CHECK(text_in("\xEF\xBB\xBF{\"a\": \"fine\"}") == "fine");
  CHECK(text_in(" {\"a\": \"fine\"} \n\0garbage") == "fine");
  CHECK(text_in(std::string{"{\"a\": \"fine\"}\0\0", 15}) == "fine");
  CHECK(text_in("{\"a\": \"tab\tand\nline\"}") == "tab\tand\nline");
  CHECK(text_in(R"({"a": "it\'s \d"})") == R"(it\'s \d)");
  CHECK(text_in("{\"a\": \"\\ud83d\xFF\"}") == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("what is no JSON stays none") {
  for (const std::string_view text : {"", " ", "<html>", "data: x", "upstream error", "NaN", "5x", "{",
                                      "{\"a\": ", "{\"a\": \"b", "[1, 2", "{\"a\" 1}", "{\"a\": \"b\"", "}", "{]"}) {
    CAPTURE(text);
    CHECK_FALSE(JsonDocument{text}.valid());
  }
}

TEST_CASE("documents that follow one another are read one by one") {
  JsonDocument document{"{\"a\": 1}\n{\"a\": NaN}, [3]\x1E{\"a\": 4} the end"};
  CHECK_FALSE(document.is_last());
  std::vector<std::string> seen{json_of(document.root())};
  while (document.next()) {
    REQUIRE(document.valid());
    seen.push_back(json_of(document.root()));
  }
  CHECK(seen == std::vector<std::string>{R"({"a":1})", R"({"a":NaN})", "[3]", R"({"a":4})"});
  CHECK(document.is_last());

  JsonDocument broken{"{\"a\": 1}{\"a\": "};
  REQUIRE(broken.next());
  CHECK_FALSE(broken.valid());
}

TEST_CASE("a value is written back as it stood, numbers of any size") {
  for (const std::string_view json : {R"({"n":123456789012345678901234567890,"m":[1e999,-0.1]})",
                                      R"({"n":NaN,"s":"NaN"})", R"({"n":18446744073709551615})"}) {
    const JsonDocument document{json};
    REQUIRE(document.valid());
    CHECK(json_of(document.root()) == json);
  }
}

TEST_CASE("mending changes no value of a document that is sound") {
  std::mt19937_64 random{41};
  const auto pick = [&](std::size_t count) { return random() % count; };
  const std::vector<std::string> texts{"",       "plain", "\"q\" \\ /", "\n\t\r\x01", "\xC3\xA4\xF0\x9F\x98\x80",
                                       "}{][,:", "NaN",   "\\u0041"};
  const auto value = [&](auto&& self, int depth) -> nlohmann::json {
    switch (pick(depth > 0 ? 8 : 6)) {
      case 0:
        return nullptr;
      case 1:
        return pick(2) == 0;
      case 2:
        return static_cast<std::int64_t>(random());
      case 3:
        return static_cast<double>(random()) / 1e7;
      case 4:
      case 5:
        return texts[pick(texts.size())];
      case 6: {
        nlohmann::json list = nlohmann::json::array();
        for (std::size_t i = pick(4); i > 0; --i) list.push_back(self(self, depth - 1));
        return list;
      }
      default:
        break;
    }
    nlohmann::json object = nlohmann::json::object();
    for (std::size_t i = pick(4); i > 0; --i) object[texts[pick(texts.size())]] = self(self, depth - 1);
    return object;
  };
  for (int round = 0; round < 2000; ++round) {
    const nlohmann::json whole{{"v", value(value, 4)}};
    const std::string text = whole.dump(pick(2) == 0 ? -1 : 2);
    const MendedJson mended = mend_json(text + " trailing");
    REQUIRE(nlohmann::json::parse(mended.text) == whole);
    REQUIRE(mended.length == text.size());
  }
}

}  // namespace mended_json_test
