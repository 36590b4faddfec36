#include "schema/pattern.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <string_view>

namespace pattern_test {

using namespace backstop;
using backstop::detail::Effort;
using backstop::detail::Pattern;

namespace {

bool matches(std::string_view pattern, std::string_view text) {
  const Result<Pattern> compiled = Pattern::compile(pattern);
  REQUIRE(compiled);
  Effort effort;
  const bool found = compiled->matches(text, effort);
  CHECK_FALSE(effort.is_used_up());
  return found;
}

std::string refusal(std::string_view pattern) {
  const Result<Pattern> compiled = Pattern::compile(pattern);
  return compiled ? "" : compiled.error().message;
}

}  // namespace

TEST_CASE("a pattern matches as ECMA-262 has it") {
  struct Row {
    std::string_view pattern;
    std::string_view fits;
    std::string_view fits_not;
  };
  for (const Row& row : {
           Row{"a", "xax", "xbx"},
           Row{"^a*$", "aaa", "aab"},
           Row{"^(foo|ba[rz])+$", "foobarbaz", "foobat"},
           Row{R"(^\d{4}-\d{2}-\d{2}$)", "2026-11-29", "2026-1-29"},
           Row{R"(^\S+@\w+\.[a-z]{2,3}$)", "a.b@example.org", "a b@example.org"},
           Row{R"(^[^\d\s]+$)", "abc", "ab1"},
           Row{R"(\bword\b)", "a word here", "swordfish"},
           Row{R"(\Bord\b)", "a word here", "an ord here"},
           Row{R"(^\u00e4\x41$)", "äA", "aA"},
           Row{R"(^\u{1F600}$)", "😀", "x"},
           Row{R"(^\uD83D\uDE00$)", "😀", "x"},
           Row{"^.$", "ä", "\n"},
           Row{"^[ä-ü]$", "ö", "o"},
           Row{"^(?:a|)b$", "b", "c"},
           Row{"^(?<name>a)$", "a", "b"},
           Row{"^a{,2}$", "a{,2}", "aa"},
           Row{"^a{2,}?$", "aaa", "a"},
           Row{"^()*$", "", "a"},
           Row{"^ab?c$", "ac", "abbc"},
           Row{"^a{1,3}$", "a", "aaaa"},
       }) {
    INFO(row.pattern);
    CHECK(matches(row.pattern, row.fits));
    CHECK_FALSE(matches(row.pattern, row.fits_not));
  }
  CHECK_FALSE(matches("[]", "a"));
  CHECK(matches("[^]", "a"));
}

TEST_CASE("what cannot be matched in bounded time is refused and named") {
  CHECK(refusal("(?!a)") == "look-ahead is not accepted");
  CHECK(refusal("(?<=a)b") == "look-behind is not accepted");
  CHECK(refusal(R"((a)\1)") == "references to groups are not accepted");
  CHECK(refusal(R"(\p{L})") == R"(Unicode properties (\p) are not accepted)");
  CHECK(refusal(R"(^[\p{Lu}\d]+$)") == R"(Unicode properties (\p) are not accepted)");
  CHECK(refusal(R"(\P{L})") == R"(Unicode properties (\p) are not accepted)");
  CHECK(refusal("(a") == "a group is not closed");
  CHECK(refusal("a)") == "a `)` closes no group");
  CHECK(refusal("[a") == "it ends within a set");
  CHECK(refusal("*a") == "a repetition has nothing to repeat");
  CHECK(refusal("a**") == "a repetition has nothing to repeat");
  CHECK(refusal("a{3,2}") == "a repetition is at most less often than at least");
  CHECK(refusal("a{1001}") == "it repeats something more than 1000 times");
  CHECK(refusal("((a{100}){100}){100}") == "it is too large when its repetitions are written out");
  CHECK(refusal("(((){1000}){1000}){1000}") == "it is too large when its repetitions are written out");
  CHECK(refusal(std::string(1'000, '(')) == "its groups are nested too deeply");
  CHECK(refusal(R"(\)") == "it ends within an escape");
}

TEST_CASE("patterns that ruin backtracking engines are matched in bounded time") {
  for (const std::string_view pattern : {"^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*(.*)*(.*)*x"}) {
    CHECK_FALSE(matches(pattern, std::string(50'000, 'a') + "!"));
  }
}

TEST_CASE("a match gives up where the effort is used up") {
  const Result<Pattern> pattern = Pattern::compile("(a{1000}b)|c");
  REQUIRE(pattern);
  Effort effort{.left = 1'000};
  CHECK_FALSE(pattern->matches(std::string(10'000, 'a') + "c", effort));
  CHECK(effort.is_used_up());
}

}  // namespace pattern_test
