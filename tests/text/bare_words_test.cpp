#include "text/bare_words.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"

namespace bare_words_test {

using namespace backstop;
using namespace backstop::detail;

namespace {

const std::string mark{bare_word_mark};
const std::string number = "123456789012345678901234567890";

}  // namespace

TEST_CASE("a marked value is put back as the word that it was") {
  CHECK(restore_bare_words(R"({"a":")" + mark + number + R"(","b":[")" + mark + "1e999\"]}", BareWords::numbers) ==
        R"({"a":)" + number + R"(,"b":[1e999]})");
  CHECK(restore_bare_words(R"([")" + mark + R"(NaN"])", BareWords::all) == "[NaN]");
  CHECK(restore_bare_words(R"([")" + mark + R"(NaN"])", BareWords::numbers) == R"([")" + mark + R"(NaN"])");
}

TEST_CASE("a mark in the text of somebody, or in a key, is text") {
  for (const BareWords which : {BareWords::all, BareWords::numbers}) {
    for (const std::string& text : {R"({"t":"he said \")" + mark + number + R"(","b":1})",  // behind an escaped quote
                                    R"({"t":"\\\")" + mark + number + R"("})",
                                    R"({")" + mark + number + R"(":1})", R"({")" + mark + number + R"(" : 1})",
                                    R"(["x)" + mark + number + R"("])", R"([")" + mark + R"( abc"])",
                                    R"([")" + mark + "\"]", R"([")" + mark + R"(1,2"])", R"([")" + mark + number}) {
      CHECK(restore_bare_words(text, which) == text);
    }
  }
}

TEST_CASE("whatever the texts are, JSON is written as JSON") {
  for (const std::string& text : {"he said \"" + mark + number, mark + number + "\"", "\\\"" + mark + number, mark}) {
    const nlohmann::ordered_json json{{"text", text}, {text, 1}};
    CHECK(nlohmann::ordered_json::parse(json_text(json)) == json);
  }
}

}  // namespace bare_words_test
