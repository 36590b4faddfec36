#include "providers/wire/base64.hpp"

#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

namespace base64_test {

using backstop::detail::decode_base64;

TEST_CASE("base64 in both alphabets, padded or not, in lines or not") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("TQ==") == "M");
  CHECK(decode_base64("TQ") == "M");
  CHECK(decode_base64("TWE=") == "Ma");
  CHECK(decode_base64("TWFu") == "Man");
  CHECK(decode_base64("TWFu\r\nTWE=\n") == "ManMa");
  CHECK(decode_base64("+/+/") == "\xFB\xFF\xBF");
  CHECK(decode_base64("-_-_") == "\xFB\xFF\xBF");
  CHECK(decode_base64("09az") == "\xD3\xD6\xB3");
}

TEST_CASE("what is no base64 is not decoded in part") {
  for (const std::string_view text : {"T", "TWFuT", "TW Fu", "TW!u", "TQ==TWFu", "=TWFu", "\xC3\xA9"}) {
    CAPTURE(text);
    CHECK_FALSE(decode_base64(text));
  }
}

}  // namespace base64_test
