#include "chat/token_estimate.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>

namespace token_estimate_test {

using namespace backstop;

namespace {

std::int64_t tokens_of(Part part) {
  ChatRequest request{"four"};
  request.messages[0].parts.push_back(std::move(part));
  return estimate_input_tokens(request) - 1;
}

}  // namespace

TEST_CASE("text counts a quarter of its bytes, an image a flat sum, a document by its size up to a limit") {
  CHECK(tokens_of(Text{"12345"}) == 2);
  CHECK(tokens_of(Image{.data = "AAAA"}) == 1000);
  CHECK(tokens_of(Document{.data = std::string(4000, 'A')}) == 750);
  CHECK(tokens_of(Document{.data = std::string(4'000'000, 'A')}) == 100'000);
}

TEST_CASE("every text that goes out counts, wherever it stands") {
  CHECK(tokens_of(Reasoning{"12345678", "signature", "", {}}) == 2);
  CHECK(tokens_of(Reasoning{"", "", "123456789012", {}}) == 3);
  CHECK(tokens_of(ToolCall{"call_1", "1234", "12345678"}) == 3);
  CHECK(tokens_of(ToolResult{"call_1", "12345678", false}) == 2);
  ChatRequest request{"four"};
  request.tools.push_back(Tool{"1234", "12345678", "{\"abcdef\":1}", {}});
  CHECK(estimate_input_tokens(request) == 1 + 6);
  request.response_format = ResponseFormat{.schema = "{\"abcdef\":1}"};
  CHECK(estimate_input_tokens(request) == 1 + 6 + 3);
}

TEST_CASE("what comes by address counts as much as may stand there") {
  CHECK(tokens_of(Image{.url = "https://host/a.png"}) == 1600);
  CHECK(tokens_of(Document{.url = "https://host/a.pdf"}) == 100'000);
  CHECK(tokens_of(Document{.url = "https://host/a.pdf", .data = "AAAA"}) == 1);  // the bytes are what is sent
  CHECK(tokens_of(Document{}) == 0);
}

}  // namespace token_estimate_test
