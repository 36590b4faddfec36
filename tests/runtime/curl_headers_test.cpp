#include "runtime/curl_headers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace curl_headers_test {

using backstop::Header;
using backstop::detail::CurlHeaders;

namespace {

std::vector<std::string> lines_of(const std::vector<Header>& fields) {
  CurlHeaders headers{fields};
  std::vector<std::string> lines;
  for (const curl_slist* line = headers.list(); line != nullptr; line = line->next) lines.emplace_back(line->data);
  return lines;
}

}  // namespace

TEST_CASE("libcurl gets each field as a line of its own, an empty one as it wants it") {
  CHECK(lines_of({}) == std::vector<std::string>{"Expect:"});
  CHECK(lines_of({{"a", "1"}, {"empty", ""}, {"long", std::string(5000, 'x')}, {"z", "2"}}) ==
        std::vector<std::string>{"Expect:", "a: 1", "empty;", "long: " + std::string(5000, 'x'), "z: 2"});
}

TEST_CASE("a value with a zero in it ends there, and does not become another field") {
  CHECK(lines_of({{"a", std::string{"1\0b: 2", 6}}, {"c", "3"}}) == std::vector<std::string>{"Expect:", "a: 1", "c: 3"});
}

}  // namespace curl_headers_test
