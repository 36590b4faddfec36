#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "providers/wire/json_lines.hpp"

namespace json_lines_test {

using namespace backstop;

namespace {

using Documents = std::vector<std::string>;

/// What comes of a body in pieces of that size.
Documents documents_of(std::string_view body, std::size_t piece) {
  detail::JsonLines lines{1000};
  Documents documents;
  std::string_view document;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    lines.feed(body.substr(at, piece));
    while (lines.next(document)) documents.emplace_back(document);
  }
  if (lines.finish(document)) documents.emplace_back(document);
  return documents;
}

}  // namespace

TEST_CASE("lines of JSON are documents, however they are cut into pieces") {
  const std::string body = "{\"a\": \"}\\\"\"}\r\n\n{\"b\":\n {\"c\": [1]}}\nno JSON\n{\"d\": 1}";
  const Documents wanted{"{\"a\": \"}\\\"\"}", "{\"b\":\n {\"c\": [1]}}", "no JSON", "{\"d\": 1}"};
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    CAPTURE(piece);
    CHECK(documents_of(body, piece) == wanted);
  }
}

TEST_CASE("what follows a document on its line is another one, or nothing, however the bytes are cut") {
  const std::string body =
      "{\"a\": 1} tail {\"not\": 1}\n{\"b\": 1},{\"c\":\n 1}] }\n{\"d\": 1}\t[1, 2]\n{\"e\": 1}, \"done\": {}}\n{\"f\": 1}x";
  const Documents wanted{"{\"a\": 1}", "{\"b\": 1}", "{\"c\":\n 1}", "{\"d\": 1}",
                         "[1, 2]",     "{\"e\": 1}", "{\"f\": 1}"};
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    CAPTURE(piece);
    CHECK(documents_of(body, piece) == wanted);
  }
}

TEST_CASE("a document that is whole does not wait for the end of its line") {
  detail::JsonLines lines{1000};
  std::string_view document;
  lines.feed("{\"a\": 1}");
  REQUIRE(lines.next(document));
  CHECK(document == "{\"a\": 1}");
  CHECK_FALSE(lines.next(document));
  lines.feed("\n{\"b\"");
  CHECK_FALSE(lines.next(document));
  REQUIRE(lines.finish(document));
  CHECK(document == "{\"b\"");
  CHECK_FALSE(lines.finish(document));
}

TEST_CASE("a document beyond the limit is told, and those before it are handed out") {
  detail::JsonLines lines{10};
  std::string_view document;
  lines.feed("{\"a\": 1}\n{\"b\": \"0123456789");
  REQUIRE(lines.next(document));
  CHECK_FALSE(lines.too_large());
  CHECK_FALSE(lines.next(document));
  CHECK(lines.too_large());
  CHECK_FALSE(lines.finish(document));
}

}  // namespace json_lines_test
