#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "stacks/features.hpp"
#include "stacks/generate.hpp"
#include "stacks/isolate.hpp"
#include "stacks/kept_cases.hpp"
#include "stacks/program.hpp"
#include "stacks/survey.hpp"

namespace stacks_test {

// Random trees of clients and policies over faulty targets, under random consumers; each case has a seed.
// BACKSTOP_STACKS_CASES and BACKSTOP_STACKS_SEED say how many and from which seed; README.md says more.

using namespace stacks;

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

}  // namespace

TEST_CASE("random stacks keep the promises of their parts", "[stacks]") {
  const Features features = Features::from_environment();
  const Survey found =
      survey(from_environment("BACKSTOP_STACKS_SEED", 1), from_environment("BACKSTOP_STACKS_CASES", 40'000), features);
  if (found.failing == 0) return;
  const auto to_shrink = static_cast<int>(from_environment("BACKSTOP_STACKS_SHRINK", 2));
  // As it is: the framework would break the programs' lines.
  std::fputs(report_of(found, features, to_shrink).c_str(), stderr);
  FAIL(found.failing << " of " << found.cases << " cases break something");
}

TEST_CASE("stacks that were found to be broken are mended", "[stacks]") {
  for (const KeptCase& one : kept_cases()) {
    for (const Violation& violation : play_one(one.kept, 10'000)) {
      FAIL_CHECK(one.what << "\nkept because of " << one.check << ", found " << violation.check << ": "
                          << violation.detail << "\n" << program_of(one.kept));
    }
  }
}

// BACKSTOP_STACKS_ONE: a single seed without a child process, for a debugger; prints its program.
TEST_CASE("one stack by its seed", "[stacks]") {
  if (std::getenv("BACKSTOP_STACKS_ONE") == nullptr) SKIP("BACKSTOP_STACKS_ONE is not set");
  const Case one = generate(from_environment("BACKSTOP_STACKS_ONE", 1), Features::from_environment());
  WARN(program_of(one));
  for (const Violation& violation : violations_of(one)) FAIL_CHECK(violation.check << ": " << violation.detail);
}

TEST_CASE("a seed is one case", "[stacks]") {
  const Features features;
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    CHECK(program_of(generate(seed, features)) == program_of(generate(seed, features)));
  }
}

TEST_CASE("the checks that cannot speak of every case speak of enough of them", "[stacks]") {
  const Features features;
  int calls = 0;
  int to_be_answered = 0;
  int nested = 0;
  constexpr int cases = 3000;
  for (std::uint64_t seed = 1; seed <= cases; ++seed) {
    const Case one = generate(seed, features);
    nested += flattened(one) ? 1 : 0;
    for (const ConsumerSpec& consumer : one.consumers) {
      ++calls;
      to_be_answered += must_be_answered(one, consumer) ? 1 : 0;
    }
  }
  INFO(to_be_answered << " of " << calls << " calls must be answered, " << nested << " of " << cases
                      << " cases have a flat twin");
  CHECK(to_be_answered > calls / 20);
  CHECK(nested > cases / 50);
}

}  // namespace stacks_test
