#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>

#include "backstop/providers/openai.hpp"
#include "support/replayed_call.hpp"

namespace wrong_path_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

Error refused_with(int status, const std::string& body) {
  const Provider asked =
      openai({.model = "m", .api_key = "sk-hunter2", .base_url = "http://gateway.test/v2", .name = "gateway"});
  ReplayedAnswer refusal;
  refusal.status = status;
  refusal.body = body;
  return call_with(asked, "hello", refusal, false).result.error();
}

}  // namespace

TEST_CASE("an address that does not exist is told, and a model that does not is no wrong address") {
  for (const std::string body : {"404 page not found", "<html>nginx</html>", "", R"({"detail":"Not Found"})"}) {
    CAPTURE(body);
    const Error error = refused_with(404, body);
    CHECK(error.kind == ErrorKind::model_not_found);
    CHECK(error.message ==
          "the server has nothing at http://gateway.test/v2/chat/completions, and says nothing of a model: is the base "
          "URL right?");
  }
  CHECK_THAT(refused_with(405, R"({"detail":"Method Not Allowed"})").message, ContainsSubstring("is the base URL right?"));
  const Error model = refused_with(404, R"({"error":{"message":"The model `m` does not exist","code":"model_not_found"}})");
  CHECK(model.message == "the provider does not know the model");
  CHECK(refused_with(404, R"({"error":"model 'm' not found"})").message == "the provider does not know the model");
}

}  // namespace wrong_path_test
