#include "providers/failure/secret_headers.hpp"
#include "providers/failure/secrets.hpp"

#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

namespace secrets_test {

using namespace backstop::detail;

namespace {

std::string masked(const Secrets& secrets, std::string text) {
  secrets.redact(text);
  return text;
}

Secrets with_key(std::string_view key) {
  Secrets secrets;
  secrets.add(key);
  return secrets;
}

Secrets with_header(std::string_view name, std::string_view value) {
  Secrets secrets;
  secrets.add_header(name, value);
  return secrets;
}

}  // namespace

TEST_CASE("a secret is masked wherever it stands, a short one nowhere") {
  CHECK(masked(with_key("key1234"), "key1234 and key1234") == "*** and ***");
  CHECK(masked(with_key("key1234"), "key123") == "***");  // cut off by the end
  CHECK(masked(with_key("key1234"), "key12 key") == "key12 key");
  CHECK(masked(with_key("a"), "a") == "a");
  CHECK(masked(with_key(""), "a") == "a");
}

TEST_CASE("a secret is masked in the forms in which addresses and JSON write it") {
  const Secrets secrets = with_key("k/ey+12=34 x");
  CHECK(masked(secrets, "?key=k%2Fey%2B12%3D34%20x&a=b") == "?key=***&a=b");
  CHECK(masked(secrets, "?key=k%2fey%2b12%3d34+x") == "?key=***");
  CHECK(masked(secrets, "?key=k/ey%2B12=34 x") == "?key=***");
  CHECK(masked(secrets, R"("k\/ey\u002b12\u003D34 x")") == R"("***")");

  const Secrets odd = with_key(R"(k%41&"<\5'>)");
  for (const char* written : {R"(k%41&"<\5'>)", "k%2541%26%22%3C%5C5%27%3E", R"(k%41&"<\\5'>)", R"(k%41\u0026\"\u003c\\5\u0027>)",
                              R"(k%41&amp;&quot;&lt;\5&#39;&gt;)", R"(k%41&#38;&#x22;&#X3C;\5&apos;&gt;)"}) {
    CHECK(masked(odd, std::string{"<p>"} + written + "</p>") == "<p>***</p>");
  }
  CHECK(masked(odd, "k%41&#38") == "k%41&#38");
}

TEST_CASE("a secret is masked however many of its letters can be read in two ways") {
  std::string value;
  std::string encoded;
  for (int i = 0; i < 40; ++i) {
    value += "ab%2B\\&";
    encoded += i % 2 == 0 ? "ab%252B\\\\&amp;" : "ab%2B\\&";
  }
  const Secrets secrets = with_key(value);
  CHECK(masked(secrets, "a=" + encoded + "!") == "a=***!");
  CHECK(masked(secrets, "a=" + value + "!") == "a=***!");
}

TEST_CASE("a secret is masked inside base64, wherever it begins there") {
  const Secrets secrets = with_key("sk-secret-0123456789");
  // "sk-secret-0123456789", "u:...", "me:...", "you:..." and "a:...!" in base64
  CHECK(masked(secrets, "c2stc2VjcmV0LTAxMjM0NTY3ODk=").find("c2VjcmV0") == std::string::npos);
  CHECK(masked(secrets, "Basic dTpzay1zZWNyZXQtMDEyMzQ1Njc4OQ==") == "Basic dTp***Q==");
  CHECK(masked(secrets, "bWU6c2stc2VjcmV0LTAxMjM0NTY3ODk=") == "bWU6***k=");
  CHECK(masked(secrets, "eW91OnNrLXNlY3JldC0wMTIzNDU2Nzg5") == "eW91On***");
}

TEST_CASE("a header's value is masked whole, and its parts where the name tells of a key") {
  CHECK(masked(with_header("x-my-token", "hunter2"), "bad hunter2") == "bad ***");
  CHECK(masked(with_header("x-mode", "fast"), "too fast") == "too fast");  // too short to be a key
  CHECK(masked(with_header("Authorization", "Bearer abc-def"), "abc-def is wrong") == "*** is wrong");
  CHECK(masked(with_header("Authorization", "Bearer abc-def"), "a Bearer token") == "a Bearer token");
  const Secrets basic = with_header("authorization", "Basic bWU6aHVudGVyMg==");  // me:hunter2
  CHECK(masked(basic, "user me:hunter2") == "user ***");
  CHECK(masked(basic, "password hunter2, bWU6aHVudGVyMg") == "password ***, ***");
  CHECK(masked(with_header("cookie", "a=one; session=0123456789"), "session 0123456789") == "session ***");
}

TEST_CASE("every header that carries a key is known by its name, in any case") {
  for (const char* name : {"authorization", "Authorization", "proxy-authorization", "api-key", "x-api-key",
                           "x-goog-api-key", "cookie", "x-amz-security-token", "cf-aig-authorization"}) {
    CAPTURE(name);
    CHECK(carries_secret(name));
    CHECK(masked(with_header(name, "Scheme abcd"), "it was abcd") == "it was ***");
  }
  for (const char* name : {"x-request-id", "x-team", "authorization-hint", ""}) {
    CAPTURE(name);
    CHECK_FALSE(carries_secret(name));
  }
}

TEST_CASE("the values in an address's query are masked, as written and as meant") {
  Secrets secrets;
  secrets.add_query("https://host/v1?key=ab%2Fcdefg&api-version=2024-10-21&token=xyz12345");
  CHECK(masked(secrets, "ab/cdefg ab%2Fcdefg xyz12345 2024-10-21") == "*** *** *** 2024-10-21");
}

TEST_CASE("words are cut after they are masked") {
  const Secrets secrets = with_key("key1234");
  CHECK(secrets.quote("  abc key1234 def ", 7) == "abc ***...");
  CHECK(secrets.quote("abc key1234", 6) == "abc **...");
  CHECK(secrets.quote(std::string(1'000'000, ' ') + "key1234", 10) == "***");
}

}  // namespace secrets_test
