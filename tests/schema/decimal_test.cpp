#include "schema/decimal.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace decimal_test {

using backstop::detail::Decimal;

namespace {

Decimal number(std::string_view text) {
  const std::optional<Decimal> read = Decimal::read(text);
  REQUIRE(read);
  return *read;
}

}  // namespace

TEST_CASE("numbers are in the order of their values, however they are written") {
  constexpr std::array<std::string_view, 19> rising{
      "-1e300", "-123.5", "-123", "-1.5", "-1",   "-0.1",  "-1e-300", "0",      "1e-300", "0.09",
      "0.1",    "0.11",   "1",    "1.05", "10.5", "123.4", "123.45",  "9.9e20", "1e21",
  };
  for (std::size_t i = 0; i < rising.size(); ++i) {
    for (std::size_t j = 0; j < rising.size(); ++j) {
      INFO(rising[i] << " and " << rising[j]);
      CHECK((number(rising[i]) <=> number(rising[j])) == (i <=> j));
      CHECK((number(rising[i]) == number(rising[j])) == (i == j));
    }
  }
}

TEST_CASE("zeros at the ends and the way of writing change nothing") {
  CHECK(number("100") == number("1e2"));
  CHECK(number("100.00") == number("0.1E+3"));
  CHECK(number("-0.0012300") == number("-123e-5"));
  CHECK(number("0.0e7") == number("-0"));
  CHECK(number("1e00002") == number("100"));
  CHECK(number("10010") != number("1001"));
}

TEST_CASE("an integer is what has no fraction left") {
  for (const char* text : {"0", "-0.0", "1.0", "1e300", "1.5e1", "-100"}) {
    INFO(text);
    CHECK(number(text).is_integer());
  }
  for (const char* text : {"0.5", "1e-1", "-1.25e1", "100000000000000000000.5"}) {
    INFO(text);
    CHECK_FALSE(number(text).is_integer());
  }
}

TEST_CASE("a size is a whole number of at most 15 digits") {
  CHECK(number("0").size() == 0);
  CHECK(number("12.0").size() == 12);
  CHECK(number("1.2e3").size() == 1'200);
  CHECK(number("999999999999999").size() == 999'999'999'999'999);
  CHECK_FALSE(number("1e15").size());
  CHECK_FALSE(number("-1").size());
  CHECK_FALSE(number("0.5").size());
}

TEST_CASE("an exponent that no program can mean is refused, and one of zero is not") {
  CHECK(Decimal::read("1e1000000000"));
  CHECK_FALSE(Decimal::read("1e1000000001"));
  CHECK_FALSE(Decimal::read("1e-99999999999999999999999999"));
  CHECK(number("0e99999999999999999999999999") == Decimal{});
}

TEST_CASE("multiples are told digit by digit") {
  const Decimal twos = number("576460752303423488");  // 2^59, the most twos in 18 digits
  CHECK(number("1e59").is_multiple_of(twos));
  CHECK(number("1e1000").is_multiple_of(twos));
  CHECK_FALSE(number("1e58").is_multiple_of(twos));
  CHECK(number("0").is_multiple_of(twos));
  CHECK_FALSE(number(std::string(1'000, '1') + "2").is_multiple_of(number("5")));
  CHECK(number(std::string(1'000, '1') + "5").is_multiple_of(number("0.5")));
}

}  // namespace decimal_test
