#include "providers/http/platform.hpp"

#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>

namespace platform_test {

using namespace backstop;
using namespace backstop::detail;

namespace {

Endpoint endpoint_at(std::string base_url, std::string_view model = "m") {
  Endpoint endpoint;
  endpoint.target = Target{"p", model};
  endpoint.base_url = std::move(base_url);
  endpoint.api_key = "the-key";
  return endpoint;
}

std::string address(const Platform& platform, const Endpoint& endpoint, bool stream = false) {
  const Result<HttpRequest> http = request_at(platform, "{}", "Hi", endpoint, stream);
  REQUIRE(http);
  return http->url;
}

std::string header(const HttpRequest& http, std::string_view name) {
  std::string found;
  for (const Header& one : http.headers) {
    if (one.first == name) found += one.second;
  }
  return found;
}

constexpr Platform in_body{.path = "/chat", .root = "/v2", .other_root = "/v3"};
constexpr Platform in_path{.path = "/{model}:say", .stream_path = "/{model}:sing?alt=sse", .collection = "models/"};

}  // namespace

TEST_CASE("the root stands between the base address and the path, unless the address has it") {
  CHECK(address(in_body, endpoint_at("http://host")) == "http://host/v2/chat");
  CHECK(address(in_body, endpoint_at("http://host/v2")) == "http://host/v2/chat");
  CHECK(address(in_body, endpoint_at("http://host/v3?team=a")) == "http://host/v3/chat?team=a");
  CHECK(address(in_body, endpoint_at("http://host/v1?is=/v2")) == "http://host/v1/v2/chat?is=/v2");
  CHECK_FALSE(in_body.model_in_path());
  CHECK(address(in_body, endpoint_at("http://host"), true) == "http://host/v2/chat");
}

TEST_CASE("a model's name in the path is one of the collection, or a path of its own") {
  CHECK(in_path.model_in_path());
  CHECK(address(in_path, endpoint_at("http://host")) == "http://host/models/m:say");
  CHECK(address(in_path, endpoint_at("http://host", "claude@2025:x?")) == "http://host/models/claude@2025%3Ax%3F:say");
  CHECK(address(in_path, endpoint_at("http://host", "endpoints/7")) == "http://host/endpoints/7:say");
  constexpr Platform no_collection{.path = "/model/{model}/say"};
  CHECK(address(no_collection, endpoint_at("http://host", "arn:a/b@c")) == "http://host/model/arn%3Aa%2Fb%40c/say");
}

TEST_CASE("the queries of a path and of a base address stand side by side") {
  const Endpoint endpoint = endpoint_at("http://host?team=a&b=c");
  CHECK(address(in_path, endpoint, true) == "http://host/models/m:sing?alt=sse&team=a&b=c");
  CHECK(address(in_path, endpoint) == "http://host/models/m:say?team=a&b=c");
}

TEST_CASE("a key is a bearer token or has a header of its own, and one that signs stays") {
  Endpoint endpoint = endpoint_at("http://host");
  const auto with = [&](std::string_view key_header) {
    return *request_at({.path = "/x", .key_header = key_header}, "{}", "Hi", endpoint, false);
  };
  CHECK(header(with("authorization"), "authorization") == "Bearer the-key");
  CHECK(header(with("api-key"), "api-key") == "the-key");
  CHECK(header(with("api-key"), "authorization").empty());
  endpoint.access_key_id = "AKID";
  CHECK(header(with("authorization"), "authorization").empty());
  endpoint.access_key_id.clear();
  endpoint.api_key.clear();
  CHECK(header(with("api-key"), "api-key").empty());
}

TEST_CASE("a version goes out in its header, and a stream is asked for in its type") {
  constexpr Platform platform{
      .path = "/x", .version = "2023", .version_header = "api-version", .stream_type = "application/x-stream"};
  const Endpoint endpoint = endpoint_at("http://host");
  const HttpRequest plain = *request_at(platform, "the body", "Hi", endpoint, false);
  CHECK(header(plain, "api-version") == "2023");
  CHECK(header(plain, "accept") == "application/json");
  CHECK(plain.body == "the body");
  CHECK(header(*request_at(platform, "{}", "Hi", endpoint, true), "accept") == "application/x-stream");
}

}  // namespace platform_test
