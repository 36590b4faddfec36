#include "providers/bedrock/sigv4.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/testing/matchers.hpp"
#include "providers/bedrock/digest.hpp"
#include "support/spawned_server.hpp"

namespace sigv4_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

// Of AWS's documentation.
constexpr std::string_view example_id = "AKIDEXAMPLE";
constexpr std::string_view example_secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view host = "https://bedrock-runtime.us-east-1.amazonaws.com";
constexpr WallTime new_year{std::chrono::seconds{1'767'225'600}};  // 2026-01-01

HttpRequest request_to(std::string url) {
  HttpRequest http;
  http.url = std::move(url);
  http.headers = {{"content-type", "application/json"}};
  http.body = R"({"a":1})";
  return http;
}

std::string header_of(const HttpRequest& http, std::string_view name) {
  for (const Header& header : http.headers) {
    if (header.first == name) return header.second;
  }
  return {};
}

std::string signed_at(HttpRequest& http, WallTime now = new_year, std::string_view token = {},
                      std::string_view region = "us-east-1") {
  const Result<void> done = detail::sign_request(http, {example_id, example_secret, token, region, "bedrock"}, now);
  REQUIRE(done);
  return header_of(http, "authorization");
}

std::string in_hex(const detail::Digest& digest) {
  std::string text;
  for (const char byte : digest) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    text += digits.data();
  }
  return text;
}

std::string hash_of(std::string_view text) {
  detail::Digest digest{};
  REQUIRE(detail::sha256(text, digest));
  return in_hex(digest);
}

void skip_without_digests() {
  if (!detail::has_digests()) SKIP("this build has no OpenSSL (BACKSTOP_WITH_OPENSSL)");
}

}  // namespace

TEST_CASE("digests are those of the standards") {
  skip_without_digests();
  CHECK(hash_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-4
  CHECK(hash_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  detail::Digest digest{};
  REQUIRE(detail::hmac_sha256("Jefe", "what do ya want for nothing?", digest));  // RFC 4231
  CHECK(in_hex(digest) == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("a request is signed as two other implementations sign it") {
  skip_without_digests();
  HttpRequest http = request_to(std::string{host} + "/model/amazon.nova-lite-v1%3A0/converse");
  CHECK(signed_at(http) ==
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=aad57b6015e1e3e0072ae44dd47a2b710a4093c5bcbb9c92e793c56c483e52e9");
  CHECK(header_of(http, "x-amz-date") == "20260101T000000Z");
  CHECK(header_of(http, "x-amz-security-token").empty());

  const std::string body_hash = hash_of(http.body);
  CHECK(body_hash == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862");
  const detail::CanonicalRequest canonical = detail::canonical_request(http, body_hash);
  CHECK(canonical.text ==
        "POST\n/model/amazon.nova-lite-v1%253A0/converse\n\ncontent-type:application/json\n"
        "host:bedrock-runtime.us-east-1.amazonaws.com\nx-amz-date:20260101T000000Z\n\n"
        "content-type;host;x-amz-date\n015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862");
  CHECK(hash_of(canonical.text) == "8c40f9262b633c2369663d11909ca0762fcb2b99631f4fe5d5d0aab7fe80ce76");
}

TEST_CASE("what is signed: the host as it is sent, the path encoded again, the query in order, AWS's own fields") {
  const auto lines_of = [](const HttpRequest& http) {
    const std::string text = detail::canonical_request(http, "BODY").text;
    return text.substr(0, text.rfind('\n'));
  };
  HttpRequest http = request_to("https://there.test:443/a//b%20c/model/m?b=2&a=1&a-b=3&a=0&c");
  http.headers = {{"Content-Type", "  application/json;   charset=utf-8 "}, {"traceparent", "x"}, {"X-Amz-Meta", "1"}};
  CHECK(lines_of(http) ==
        "POST\n/a/b%2520c/model/m\na=0&a=1&a-b=3&b=2&c=\ncontent-type:application/json; charset=utf-8\n"
        "host:there.test\nx-amz-meta:1\n\ncontent-type;host;x-amz-meta");
  http = request_to("http://there.test:8080/x");
  http.headers = {{"host", "other.test"}};
  CHECK(lines_of(http) == "POST\n/x\n\nhost:other.test\n\nhost");
  http.headers.clear();
  CHECK(lines_of(http) == "POST\n/x\n\nhost:there.test:8080\n\nhost");
  http.url = "http://there.test:80";
  CHECK(lines_of(http) == "POST\n/\n\nhost:there.test\n\nhost");
}

TEST_CASE("a signature is of its moment, its region and its token, and takes the place of an older one") {
  skip_without_digests();
  HttpRequest http = request_to(std::string{host} + "/model/m/converse");
  const std::string first = signed_at(http);
  const std::string later = signed_at(http, new_year + 25h + 1s + 1ns);
  CHECK(later != first);
  CHECK(later.find("/20260102/us-east-1/bedrock/") != std::string::npos);
  CHECK(header_of(http, "x-amz-date") == "20260102T010001Z");
  CHECK(http.headers.size() == 3);
  const std::string elsewhere = signed_at(http, new_year, {}, "eu-west-1");
  CHECK(elsewhere.find("/20260101/eu-west-1/bedrock/") != std::string::npos);
  CHECK(signed_at(http) == first);
  const std::string with_token = signed_at(http, new_year, "the-token");
  CHECK(header_of(http, "x-amz-security-token") == "the-token");
  CHECK(with_token.find("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,") != std::string::npos);
}

TEST_CASE("without a region, and in a build without OpenSSL, nothing is signed") {
  HttpRequest http = request_to(std::string{host} + "/model/m/converse");
  const Result<void> done = detail::sign_request(http, {example_id, example_secret, {}, {}, "bedrock"}, new_year);
  REQUIRE_FALSE(done);
  CHECK(done.error().kind == ErrorKind::authentication);
  CHECK(done.error().message ==
        (detail::has_digests()
             ? "the request cannot be signed for AWS: its region is not known; give it with `region` or AWS_REGION"
             : "the request cannot be signed for AWS: this build has no OpenSSL (`BACKSTOP_WITH_OPENSSL`); give a "
               "Bedrock API key instead"));
  CHECK(header_of(http, "authorization").empty());
}

TEST_CASE("AWS's own library signs the same") {
  skip_without_digests();
  const std::vector<std::string> addresses{
      "/model/m/converse",
      "/model/a%3A0/converse-stream",
      "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.x-v1%3A0/converse",
      "/model/a%20b/converse",
      "/model/a~b_c-d.e/converse",
      "/a//b/c/model/m/converse?b=2&a=1&a-b=3",
  };
  for (const std::string token : {"", "a/token+of=its=own"}) {
    std::string command = "python3 " BACKSTOP_SOURCE_DIR "/tests/support/aws_signatures.py sign '" +
                          std::string{example_id} + "' '" + std::string{example_secret} + "' '" + token +
                          "' us-east-1 20260101T000000Z '{\"a\":1}'";
    for (const std::string& address : addresses) command += " '" + std::string{host} + address + "'";
    std::FILE* const theirs = ::popen((command + " 2>/dev/null").c_str(), "r");
    REQUIRE(theirs != nullptr);
    std::vector<std::string> lines;
    std::array<char, 1000> line{};
    while (std::fgets(line.data(), static_cast<int>(line.size()), theirs) != nullptr) {
      lines.emplace_back(line.data());
      lines.back().pop_back();
    }
    ::pclose(theirs);
    if (lines.empty()) SKIP("python3 and botocore are needed for signatures of AWS's own library");
    REQUIRE(lines.size() == addresses.size());
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      CAPTURE(addresses[i], token);
      HttpRequest http = request_to(std::string{host} + addresses[i]);
      CHECK(signed_at(http, new_year, token) == lines[i]);
    }
  }
}

TEST_CASE("what libcurl sends is what was signed") {
  skip_without_digests();
  const SpawnedServer server{"python3", "aws_signatures.py",
                             "serve " + std::string{example_id} + " " + std::string{example_secret} + " eu-west-1",
                             "python3 and botocore are needed to check signatures"};
  const std::string base_url = "http://127.0.0.1:" + std::to_string(server.port());
  const auto asked = [&](std::string model, BedrockOptions aws, std::string below = "") {
    aws.access_key_id = example_id;
    aws.region = "eu-west-1";
    return FallbackClient{{bedrock({.model = std::move(model), .base_url = base_url + below}, std::move(aws))}, {}}
        .chat("hello");
  };
  const std::string secret{example_secret};
  CHECK(answers(asked("m", {.secret_access_key = secret}), "signed /model/m/converse"));
  CHECK(answers(asked("amazon.nova-lite-v1:0", {.secret_access_key = secret}),
                "signed /model/amazon.nova-lite-v1%3A0/converse"));
  CHECK(answers(asked("arn:aws:bedrock:eu-west-1:1:inference-profile/x", {.secret_access_key = secret}),
                "signed /model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse"));
  CHECK(answers(asked("m", {.secret_access_key = secret, .session_token = "tok+en/of="}), "signed /model/m/converse"));
  CHECK(answers(asked("m", {.secret_access_key = secret}, "/gateway?b=2&a=1"),
                "signed /gateway/model/m/converse?b=2&a=1"));
  const CallResult wrong = asked("m", {.secret_access_key = "another"});
  CHECK(fails_with(wrong, ErrorKind::authentication));
  CHECK(wrong.error().code == "InvalidSignatureException");
}

}  // namespace sigv4_test
