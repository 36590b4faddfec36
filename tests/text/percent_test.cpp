#include "text/percent.hpp"

#include <catch2/catch_test_macros.hpp>

namespace percent_test {

using backstop::detail::percent_encoded;

TEST_CASE("all that has a meaning in an address is percent-encoded, but for what is to be kept") {
  CHECK(percent_encoded("amazon.nova-lite_v1~:0/a b\xC3\xA9%") == "amazon.nova-lite_v1~%3A0%2Fa%20b%C3%A9%25");
  CHECK(percent_encoded("publishers/x@1?#", "/@") == "publishers/x@1%3F%23");
  CHECK(percent_encoded("").empty());
}

}  // namespace percent_test
