#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fstream>
#include <iterator>
#include <string>

#include "support/run_program.hpp"

namespace outage_test {

#ifdef BACKSTOP_OUTAGE_PROGRAM

using Catch::Matchers::ContainsSubstring;

namespace {

std::string page(const std::string& name) {
  std::ifstream file{BACKSTOP_SOURCE_DIR "/" + name};
  return {std::istreambuf_iterator<char>{file}, {}};
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin);
  const std::size_t to = text.find(end);
  REQUIRE(from != std::string::npos);
  REQUIRE(to != std::string::npos);
  return text.substr(from + begin.size(), to - from - begin.size());
}

}  // namespace

TEST_CASE("the tables of the simulated day are what the program prints") {
  const ProgramRun run = run_program(BACKSTOP_OUTAGE_PROGRAM, {});
  const ProgramRun slow = run_program(BACKSTOP_OUTAGE_PROGRAM, {"--slow"});
  CHECK(run.status == 0);
  CHECK(slow.status == 0);
  CHECK(run.err.empty());
  CHECK(between(page("README.md"), "<!-- outage -->\n", "<!-- /outage -->") == run.out);
  CHECK(between(page("examples/README.md"), "<!-- outage-slow -->\n", "<!-- /outage-slow -->") == slow.out);
}

TEST_CASE("the same seed gives the same day, another seed another one") {
  const auto day = [](const char* seed) {
    return run_program(BACKSTOP_OUTAGE_PROGRAM, {"--seed", seed, "--hours", "2", "--show-day"});
  };
  const ProgramRun first = day("7");
  CHECK(first.out == day("7").out);
  CHECK(first.out != day("8").out);
  CHECK_THAT(first.out, ContainsSubstring("two providers, standard()"));
}

TEST_CASE("wrong arguments of the simulated day are told with what is accepted") {
  for (const char* argument : {"--hours", "--sead"}) {
    const ProgramRun run = run_program(BACKSTOP_OUTAGE_PROGRAM, {argument, "0"});
    CHECK(run.status == 2);
    CHECK_THAT(run.err, ContainsSubstring("usage: backstop-outage [--seed N] [--hours 1..24] [--together | --slow]"));
  }
}

#endif

}  // namespace outage_test
