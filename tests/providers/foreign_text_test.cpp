#include "providers/wire/foreign_text.hpp"

#include <limits>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "providers/wire/json_document.hpp"
#include "providers/wire/json_writer.hpp"

namespace foreign_text_test {

using namespace backstop::detail;

namespace {

const std::string bad = "\xEF\xBF\xBD";

std::string as_json(std::string_view text) {
  JsonWriter json;
  json.string(text);
  return json.take();
}

}  // namespace

TEST_CASE("sequences of UTF-8 are told from what only looks like them") {
  CHECK(utf8_sequence_length("a") == 1);
  CHECK(utf8_sequence_length("\xC3\xA4") == 2);
  CHECK(utf8_sequence_length("\xE2\x82\xAC") == 3);
  CHECK(utf8_sequence_length("\xF0\x9F\x98\x80") == 4);
  for (const std::string_view wrong : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                                       "\xF4\x90\x80\x80", "\xFF", "\xE2\x82", "\xC3z"}) {
    CHECK(utf8_sequence_length(wrong) == 0);
  }
}

TEST_CASE("presentable words are bounded without cutting a character") {
  CHECK(presentable("  hello\n ", 100) == "hello");
  CHECK(presentable("a\x01\x7F\tb\nc", 100) == "a  \tb\nc");
  CHECK(presentable("\xC3\xA4\xC3\xA4\xC3\xA4", 5) == "\xC3\xA4\xC3\xA4...");
  CHECK(presentable("x\xFFy", 100) == "x" + bad + "y");
}

TEST_CASE("JSON is mended where half a character stands in it, and left alone elsewhere") {
  CHECK(mend_json_text(R"({"a":"\ud83d\ude00 \u00e4 \\ud83d \n"})") == R"({"a":"\ud83d\ude00 \u00e4 \\ud83d \n"})");
  CHECK(mend_json_text(R"("\ud83d")") == "\"" + bad + "\"");
  CHECK(mend_json_text(R"("\ude00x\ud83d\u0041")") == "\"" + bad + "x" + bad + "\\u0041\"");
  CHECK(mend_json_text("\"\xFF\\") == "\"" + bad + "\\");
}

TEST_CASE("strings are written so that every reader reads the same back") {
  CHECK(as_json("plain") == R"("plain")");
  CHECK(as_json("a\"b\\c\n\r\t\x01\x1F/") == R"("a\"b\\c\n\r\t\u0001\u001f/")");
  CHECK(as_json("\xC3\xA4\xF0\x9F\x98\x80") == "\"\xC3\xA4\xF0\x9F\x98\x80\"");
  CHECK(as_json("a\xFF\xC3") == "\"a" + bad + bad + "\"");
  std::string every;
  for (int c = 0; c < 128; ++c) every += static_cast<char>(c);
  CHECK(nlohmann::json::parse(as_json(every)) == every);
}

TEST_CASE("commas stand between values and nowhere else") {
  JsonWriter json;
  json.begin_object();
  json.field("a", std::int64_t{-5});
  json.key("b");
  json.begin_array();
  json.begin_object();
  json.end_object();
  json.number(0.1);
  json.number(std::numeric_limits<double>::infinity());
  json.null();
  json.raw("[1]");
  json.end_array();
  json.field("c", true);
  json.field("d", "x");
  json.end_object();
  CHECK(json.take() == R"({"a":-5,"b":[{},0.1,null,null,[1]],"c":true,"d":"x"})");
}

TEST_CASE("a document is parsed the same where it lies and from a copy") {
  const std::string text = R"({"a":1})";
  const std::string roomy = text + std::string(100, '"');
  CHECK(count_of(JsonDocument{text}.root(), "a") == 1);
  JsonDocument in_place;
  in_place.parse(std::string_view{roomy}.substr(0, text.size()), 100);
  CHECK(count_of(in_place.root(), "a") == 1);
  CHECK_FALSE(JsonDocument{""}.valid());
  CHECK_FALSE(JsonDocument{"{"}.valid());
}

TEST_CASE("counts are whole, not negative, and small enough to be added up") {
  const JsonDocument document{R"({"a":3,"b":-1,"c":2.9,"d":1e300,"e":"4","f":null,"g":18446744073709551615})"};
  CHECK(count_of(document.root(), "a") == 3);
  CHECK(count_of(document.root(), "c") == 2);
  for (const char* key : {"b", "d", "e", "f", "g", "h"}) CHECK_FALSE(count_of(document.root(), key));
}

}  // namespace foreign_text_test
