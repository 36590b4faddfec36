#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "backstop/handover/needs.hpp"
#include "chat/token_estimate.hpp"
#include "handover/reduce.hpp"
#include "support/sent_body.hpp"

namespace tool_files_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

namespace {

using Json = nlohmann::json;

const Image picture{.data = "AAAA", .media_type = "image/png"};
const Document paper{.data = "aGVsbG8=", .media_type = "text/plain", .name = "a.txt"};

/// A tool took a picture; the other's result is words.
ChatRequest with_files(std::vector<ToolFile> files = {picture, paper}) {
  ChatRequest request;
  request.tools = {{.name = "look"}, {.name = "ask"}};
  request.messages = {Message::user("What is there?"),
                      Message{Role::assistant, {ToolCall{"c1", "look", "{}"}, ToolCall{"c2", "ask", "{}"}}},
                      Message{Role::tool, {ToolResult{.call_id = "c1", .text = "Taken.", .files = std::move(files)}}},
                      Message{Role::tool, {ToolResult{"c2", "A cat."}}}};
  return request;
}

}  // namespace

TEST_CASE("files that a tool returned stand in its result where the wire takes them") {
  const Json claude = sent_to("messages", "claude-sonnet-4-5", with_files()).body["messages"][2]["content"];
  CHECK(claude[0]["content"][0] == Json{{"type", "text"}, {"text", "Taken."}});
  CHECK(claude[0]["content"][1]["source"]["data"] == "AAAA");
  CHECK(claude[0]["content"][2]["type"] == "document");
  CHECK(claude[1]["content"] == "A cat.");

  const Json converse =
      sent_to("converse", "us.anthropic.claude-sonnet-4-5-v1:0", with_files()).body["messages"][2]["content"];
  const Json& result = converse[0]["toolResult"]["content"];
  CHECK(result[0]["text"] == "Taken.");
  CHECK(result[1]["image"]["format"] == "png");
  CHECK(result[2]["document"]["name"] == "a txt");
  CHECK(converse.size() == 2);

  const Json responses = sent_to("responses", "gpt-5.4", with_files()).body["input"][3];
  CHECK(responses["type"] == "function_call_output");
  CHECK(responses["output"][0] == Json{{"type", "input_text"}, {"text", "Taken."}});
  CHECK(responses["output"][1]["image_url"] == "data:image/png;base64,AAAA");
  CHECK(responses["output"][2]["type"] == "input_file");

  const Json gemini = sent_to("gemini", "gemini-3-pro-preview", with_files()).body["contents"][2]["parts"][0];
  CHECK(gemini["functionResponse"]["parts"][0]["inlineData"] == Json{{"mimeType", "image/png"}, {"data", "AAAA"}});
  CHECK(gemini["functionResponse"]["response"]["output"] == "Taken.");
}

TEST_CASE("elsewhere they stand in a turn of the user's behind all results, and the row says so") {
  struct Row {
    std::string_view wire;
    std::string_view model;
  };
  for (const Row& row : std::vector<Row>{{"openai", "gpt-4o"},
                                         {"mistral", "mistral-large"},
                                         {"cohere", "command-a-vision"},
                                         {"ollama_native", "llama3.2"},
                                         {"gemini", "gemini-2.5-flash"},
                                         {"converse", "amazon.nova-pro-v1:0"}}) {
    const Sent sent = sent_to(row.wire, std::string{row.model}, with_files({picture}));
    const std::string body = sent.body.dump();
    CAPTURE(row.wire, body, sent.note);
    CHECK_THAT(sent.note, ContainsSubstring("1 file of a tool moved into a turn of its own"));
    const std::size_t result = body.find("Taken.\\n[A file stands in the next message.]");
    const std::size_t other = body.find("A cat.");
    const std::size_t told = body.find("[Returned by the tool look:]");
    REQUIRE(told != std::string::npos);
    CHECK(result < other);
    CHECK(other < told);
    CHECK(body.find("AAAA") != std::string::npos);
  }
  const Json chat = sent_to("openai", "gpt-4o", with_files({picture, paper})).body["messages"];
  REQUIRE(chat.size() == 5);
  CHECK(chat[4]["role"] == "user");
  CHECK(chat[4]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA");
  CHECK(chat[4]["content"][2]["type"] == "file");
  CHECK(chat[2]["content"] == "Taken.\n[2 files stand in the next message.]");
}

TEST_CASE("a file of a tool that the wire has no form for is refused before anything is sent") {
  ReplayedAnswer answer;
  const ReplayedCall call =
      call_with(target_of("ollama_native", {.model = "llama3.2"}), with_files({paper}), answer, false);
  CHECK(call.requests.empty());
  REQUIRE_FALSE(call.result);
  CHECK(call.result.error().kind == ErrorKind::unsupported_capability);
}

TEST_CASE("files of tools count as what they are, and are given up like others") {
  const ChatRequest request = with_files();
  CHECK(needs_of(request).vision);
  CHECK(needs_of(request).documents);
  CHECK(needs_of(with_files({picture})).documents == false);
  CHECK(estimate_input_tokens(request) >= 1000 + estimate_input_tokens(with_files({})));

  ChatRequest blind = request;
  const std::string notice = detail::take_out(detail::Feature::vision, blind);
  CHECK_THAT(notice, ContainsSubstring("1 image was left out"));
  CHECK_FALSE(needs_of(blind).vision);
  CHECK(needs_of(blind).documents);
  const auto& result = std::get<ToolResult>(blind.messages[2].parts[0]);
  CHECK(result.text == "Taken.\n[An image was left out here: image/png, 1 kB.]");
  CHECK(result.files == std::vector<ToolFile>{paper});

  ChatRequest told = request;
  static_cast<void>(detail::take_out(detail::Feature::tools, told));
  CHECK(needs_of(told).vision);
  CHECK_FALSE(needs_of(told).tools);
}

}  // namespace tool_files_test
