#include "backstop/chat/money.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdint>
#include <limits>

#include "backstop/chat/usage.hpp"

namespace money_test {

using namespace backstop;

TEST_CASE("money is written with as many decimals as it needs, at least two") {
  CHECK(to_string(Money{}) == "$0.00");
  CHECK(to_string(Money::usd(0.00064)) == "$0.00064");
  CHECK(to_string(Money::usd(12.5)) == "$12.50");
  CHECK(to_string(Money::usd(-0.25)) == "-$0.25");
  CHECK(to_string(Money::from_units(1)) == "$0.000000000001");
  CHECK(to_string(Money::max()) == "$9223372.036854775807");
  CHECK(to_string(Money::from_units(INT64_MIN)) == "-$9223372.036854775808");
}

TEST_CASE("a cost that is not known is never told as an amount") {
  CHECK(cost_text(Money::usd(0.002), true) == "$0.002");
  CHECK(cost_text(Money{}, true) == "$0.00");
  CHECK(cost_text(Money::usd(0.002), false) == "at least $0.002");
  CHECK(cost_text(Money{}, false) == "unknown");
}

TEST_CASE("dollars go in and come out as the same number") {
  for (const double dollars : {0.00064, 0.1, 0.3, 1e-12, 19.99, 123456.789}) CHECK(Money::usd(dollars).usd() == dollars);
}

TEST_CASE("money from numbers that are none is bounded") {
  CHECK(Money::usd(std::nan("")) == Money{});
  CHECK(Money::usd(std::numeric_limits<double>::infinity()) == Money::max());
  CHECK(Money::usd(-1e300) == Money::from_units(INT64_MIN));
}

TEST_CASE("sums and products of money saturate") {
  const Money least = Money::from_units(INT64_MIN);
  CHECK(Money::max() + Money::from_units(1) == Money::max());
  CHECK(least - Money::from_units(1) == least);
  CHECK(Money::max() * 2 == Money::max());
  CHECK(Money::max() * -2 == least);
  CHECK(Money::usd_per_million(3) * 1'000'000 == Money::usd(3));
}

TEST_CASE("a call costs its input and output, the cached share at its own price") {
  const Price price{Money::usd_per_million(3), Money::usd_per_million(15), Money::usd_per_million(0.3),
                    Money::usd_per_million(3.75)};
  Usage usage;
  usage.input_tokens = 1000;
  usage.output_tokens = 100;
  CHECK(cost_of(usage, price) == Money::usd(0.0045));
  usage.cached_input_tokens = 600;
  usage.cache_write_tokens = 300;
  CHECK(cost_of(usage, price) == Money::usd(100 * 3e-6 + 600 * 0.3e-6 + 300 * 3.75e-6 + 100 * 15e-6));
  usage.reasoning_tokens = 80;  // part of the output
  CHECK(cost_of(usage, price) == Money::usd(0.003105));
}

TEST_CASE("without cache prices cached tokens cost what input costs") {
  const Price price{Money::usd_per_million(2), Money::usd_per_million(8)};
  Usage usage;
  usage.input_tokens = 1000;
  usage.cached_input_tokens = 400;
  CHECK(cost_of(usage, price) == Money::usd(0.002));
}

TEST_CASE("each of the cache's prices that is missing is that of input, also of long requests") {
  const auto cost = [](std::optional<Money> read, std::optional<Money> write) {
    Price price{Money::usd_per_million(2), Money::usd_per_million(8), read, write};
    price.long_input = PriceTier{10'000, Money::usd_per_million(2), Money::usd_per_million(8), read, write};
    Usage usage;
    usage.input_tokens = 1000;
    usage.cached_input_tokens = 400;
    usage.cache_write_tokens = 200;
    const Money brief = cost_of(usage, price);
    usage.input_tokens = *usage.input_tokens * 100;
    usage.cached_input_tokens = *usage.cached_input_tokens * 100;
    usage.cache_write_tokens = *usage.cache_write_tokens * 100;
    CHECK(cost_of(usage, price) == brief * 100);
    return brief;
  };
  CHECK(cost({}, {}) == Money::usd(0.002));
  CHECK(cost(Money::usd_per_million(1), {}) == Money::usd(400 * 1e-6 + 600 * 2e-6));
  CHECK(cost({}, Money::usd_per_million(3)) == Money::usd(200 * 3e-6 + 800 * 2e-6));
  CHECK(cost(Money::usd_per_million(1), Money::usd_per_million(3)) == Money::usd(400 * 1e-6 + 200 * 3e-6 + 400 * 2e-6));
}

TEST_CASE("counts that are missing, negative or absurd make no refund and no overflow") {
  const Price price{Money::usd_per_million(3), Money::usd_per_million(15)};
  CHECK(cost_of(Usage{}, price) == Money{});
  Usage usage;
  usage.input_tokens = -5;
  usage.output_tokens = -1;
  CHECK(cost_of(usage, price) == Money{});
  usage.input_tokens = 10;
  usage.cached_input_tokens = 30;
  CHECK(cost_of(usage, price) == Money::usd_per_million(90));
  usage.input_tokens = usage.output_tokens = usage.cached_input_tokens = usage.cache_write_tokens = INT64_MAX;
  CHECK(cost_of(usage, price) == Money::max());
}

TEST_CASE("a long request is dearer as a whole") {
  Price price{Money::usd_per_million(3), Money::usd_per_million(15)};
  price.long_input = PriceTier{200'000, Money::usd_per_million(6), Money::usd_per_million(22.5), {}, {}};
  Usage usage;
  usage.input_tokens = 200'000;
  usage.output_tokens = 1000;
  CHECK(cost_of(usage, price) == Money::usd(0.615));
  usage.input_tokens = 200'001;
  CHECK(cost_of(usage, price) == Money::usd(200'001 * 6e-6 + 0.0225));
}

}  // namespace money_test
