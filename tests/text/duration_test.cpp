#include "text/duration.hpp"

#include <chrono>

#include <catch2/catch_test_macros.hpp>

#include "text/ascii.hpp"

namespace duration_test {

using namespace backstop::detail;
using namespace std::chrono_literals;

TEST_CASE("a duration is told in the unit that people would take") {
  CHECK(duration_text(250ms) == "250ms");
  CHECK(duration_text(1500us) == "1.5ms");
  CHECK(duration_text(999ms) == "999ms");
  CHECK(duration_text(1s) == "1s");
  CHECK(duration_text(1500ms) == "1.5s");
  CHECK(duration_text(90s) == "90s");
  CHECK(duration_text(10min) == "600s");
  CHECK(duration_text(1h) == "1h");
  CHECK(duration_text(24h) == "24h");
  CHECK(duration_text(1h + 30min) == "5400s");
  CHECK(duration_text(0s) == "0s");
  CHECK(duration_text(std::chrono::nanoseconds::max()) == "off");
}

TEST_CASE("a duration that was measured is told in three digits") {
  CHECK(rounded_text(2'999'710us) == "3s");
  CHECK(rounded_text(385'600ns) == "0.386ms");
  CHECK(rounded_text(2'994'900us) == "2.99s");
  CHECK(rounded_text(2'995ms) == "3s");
  CHECK(rounded_text(999'499us) == "999ms");
  CHECK(rounded_text(999'500us) == "1s");
  CHECK(rounded_text(3599s + 999ms) == "1h");
  CHECK(rounded_text(754'321ms) == "754s");
  CHECK(rounded_text(86'399s) == "24h");
  CHECK(rounded_text(12'345s) == "12300s");
  CHECK(rounded_text(1ns) == "1e-06ms");
  CHECK(rounded_text(0s) == "0s");
  CHECK(rounded_text(-2s) == duration_text(-2s));
  CHECK(rounded_text(std::chrono::nanoseconds::max()) == "off");
  CHECK_FALSE(rounded_text(std::chrono::nanoseconds::max() - 1ns).empty());
}

TEST_CASE("a decimal number stands alone, without a sign or an exponent") {
  CHECK(parse_decimal("12") == 12.0);
  CHECK(parse_decimal(" 1.25\t") == 1.25);
  for (const char* text : {"", " ", "-1", "+1", "1e3", "1.", ".5", "1.2.3", "0x1", "nan", "1 2"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_decimal(text));
  }
}

TEST_CASE("blanks and line ends are trimmed at both ends only") {
  CHECK(trim(" \t\r\na b\n") == "a b");
  CHECK(trim("a") == "a");
  CHECK(trim(" \r\n").empty());
  CHECK(trim("").empty());
}

TEST_CASE("names are compared without the case of ASCII letters") {
  CHECK(equal_ignoring_case("Retry-After", "rETRY-aFTER"));
  CHECK_FALSE(equal_ignoring_case("retry-after", "retry-afte"));
  CHECK_FALSE(equal_ignoring_case("a[", "A{"));
  CHECK_FALSE(equal_ignoring_case("\xC3\xA9", "\xC3\x89"));
}

}  // namespace duration_test
