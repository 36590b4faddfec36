#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "backstop/handover/needs.hpp"
#include "chat/token_estimate.hpp"
#include "handover/reduce.hpp"

namespace reduce_test {

using namespace backstop;
using detail::Feature;
using detail::ReductionOptions;
using detail::take_out;

namespace {

constexpr std::array all_features{Feature::vision,  Feature::documents, Feature::reasoning, Feature::json_schema,
                                  Feature::history, Feature::tools,     Feature::output};

Message with(Role role, Part part) { return Message{role, {std::move(part)}}; }

/// A conversation that uses everything.
ChatRequest rich() {
  ChatRequest request;
  request.messages = {Message::system("be kind"),
                      Message::user("look"),
                      with(Role::user, Image{.data = std::string(4000, 'A'), .media_type = "image/png"}),
                      with(Role::user, Document{.url = "https://x.test/a.pdf?key=1", .name = "a.pdf"}),
                      with(Role::assistant, ToolCall{"1", "search", R"({"q":"cats"})"}),
                      Message::tool_result("1", std::string(8000, 'r')),
                      Message::assistant("I see"),
                      Message::user("and now?")};
  request.tools.push_back(Tool{.name = "search"});
  request.tool_choice = ToolChoice{};
  request.parallel_tool_calls = true;
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type":"object"})"};
  request.reasoning_effort = "high";
  request.max_output_tokens = 4000;
  return request;
}

std::string text_at(const ChatRequest& request, std::size_t index) { return text_of(request.messages.at(index).parts); }

bool pairs_are_whole(const ChatRequest& request) {
  std::vector<std::string> open;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (const auto* call = std::get_if<ToolCall>(&part)) open.push_back(call->id);
      if (const auto* result = std::get_if<ToolResult>(&part)) {
        if (std::erase(open, result->call_id) != 1) return false;
      }
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("each feature that is taken out is needed no more, and nothing else is") {
  struct Row {
    Feature feature;
    bool Needs::*need;
  };
  for (const Row row : {Row{Feature::vision, &Needs::vision}, Row{Feature::documents, &Needs::documents},
                        Row{Feature::reasoning, &Needs::reasoning}, Row{Feature::json_schema, &Needs::json_schema},
                        Row{Feature::tools, &Needs::tools}}) {
    CAPTURE(detail::to_string(row.feature));
    ChatRequest request = rich();
    Needs expected = needs_of(request);
    CHECK(expected.*row.need);
    CHECK_FALSE(take_out(row.feature, request).empty());
    const Needs needs = needs_of(request);
    CHECK_FALSE(needs.*row.need);
    expected.*row.need = false;
    expected.input_tokens = needs.input_tokens;
    CHECK(needs == expected);
  }
}

TEST_CASE("a request that has nothing of a feature is as it was, and nothing is said") {
  for (const Feature feature : all_features) {
    CAPTURE(detail::to_string(feature));
    ChatRequest request{"hello"};
    request.reasoning_effort = "none";
    request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_object};
    const ChatRequest before = request;
    CHECK(take_out(feature, request, {.window = 1000}).empty());
    CHECK(request == before);
  }
}

TEST_CASE("what is taken out twice changes nothing the second time") {
  for (const Feature feature : all_features) {
    CAPTURE(detail::to_string(feature));
    ChatRequest request = rich();
    CHECK_FALSE(take_out(feature, request, {.keep_turns = 1, .window = 3000}).empty());
    const ChatRequest once = request;
    CHECK(take_out(feature, request, {.keep_turns = 1, .window = 3000}).empty());
    CHECK(request == once);
  }
}

TEST_CASE("images and documents leave a text that says what was there") {
  ChatRequest request = rich();
  CHECK(take_out(Feature::vision, request) == "1 image was left out: the model did not see it.");
  CHECK(text_at(request, 2) == "[An image was left out here: image/png, 3 kB.]");
  CHECK(take_out(Feature::documents, request) == "1 document was left out: the model did not read it.");
  CHECK(text_at(request, 3) == "[A document was left out here: a.pdf, https://x.test/a.pdf.]");
  request.messages = {with(Role::user, Image{.url = "u"}), with(Role::user, Image{.url = "v"})};
  CHECK(take_out(Feature::vision, request) == "2 images were left out: the model did not see them.");
}

TEST_CASE("a schema becomes a system text behind those at the beginning, and stays for checks") {
  ChatRequest request = rich();
  CHECK_FALSE(take_out(Feature::json_schema, request).empty());
  REQUIRE(request.messages[1].role == Role::system);
  CHECK(text_at(request, 0) == "be kind");
  CHECK(text_at(request, 1) == "Answer with JSON that follows this JSON Schema and nothing else: no words around it, no "
                               "code fence.\n{\"type\":\"object\"}");
  CHECK(request.response_format->by_instruction);
  CHECK(request.response_format->schema == R"({"type":"object"})");
}

TEST_CASE("tools are not offered, and what the conversation has of them is told as text or left out") {
  ChatRequest request = rich();
  CHECK(take_out(Feature::tools, request) ==
        "1 tool was not offered to the model. 1 tool call of the conversation was told as text.");
  CHECK(request.tools.empty());
  CHECK_FALSE(request.tool_choice);
  CHECK_FALSE(request.parallel_tool_calls);
  REQUIRE(request.messages.size() == 7);  // the turn that was nothing but a call is gone
  CHECK(request.messages[4].role == Role::user);
  CHECK(text_at(request, 4) ==
        "[The tool search was called with {\"q\":\"cats\"}. It returned:]\n" + std::string(8000, 'r'));

  ChatRequest shorter = rich();
  CHECK(take_out(Feature::tools, shorter, {.keep_tool_history = false}) ==
        "1 tool was not offered to the model. 1 tool call of the conversation was left out.");
  CHECK(shorter.messages.size() == 6);
}

TEST_CASE("failed results, results without a call and text beside a call are told, too") {
  ChatRequest request;
  request.messages = {Message::user("go"),
                      Message{Role::assistant, {Text{"let me see"}, ToolCall{"1", "f", ""}}},
                      with(Role::tool, ToolResult{"1", "no", true}), Message::tool_result("9", "stray")};
  CHECK(take_out(Feature::tools, request) == "1 tool call of the conversation was told as text.");
  REQUIRE(request.messages.size() == 4);
  CHECK(text_at(request, 1) == "let me see");
  CHECK(text_at(request, 2) == "[The tool f was called with {}. It failed:]\nno");
  CHECK(text_at(request, 3) == "[A tool was called. It returned:]\nstray");
}

TEST_CASE("a conversation that has only results of tools says how many") {
  ChatRequest request;
  request.messages = {Message::user("go"), Message::tool_result("9", "stray"), Message::tool_result("8", "stray")};
  CHECK(take_out(Feature::tools, request) == "2 tool results of the conversation were told as text.");
}

TEST_CASE("history loses results of tools before turns, the oldest first, and no more than it must") {
  const std::string text(4000, 'x');  // 1,000 tokens
  ChatRequest request;
  request.messages = {Message::system(text)};
  for (int i = 0; i < 4; ++i) {
    request.messages.push_back(Message::user(text));
    request.messages.push_back(with(Role::assistant, ToolCall{std::to_string(i), "f", "{}"}));
    request.messages.push_back(Message::tool_result(std::to_string(i), text));
  }
  request.max_output_tokens = 100;
  CHECK(estimate_input_tokens(request) > 9000);

  ChatRequest results = request;
  CHECK(take_out(Feature::history, results, {.keep_turns = 1, .window = 8200}) == "1 older tool result was left out.");
  CHECK(estimate_input_tokens(results) <= 8100);
  CHECK(results.messages.size() == request.messages.size());
  CHECK(std::get<ToolResult>(results.messages[3].parts[0]).text == "[This result was left out to save room: 4000 bytes.]");

  ChatRequest turns = request;
  const std::string notice = take_out(Feature::history, turns, {.keep_turns = 1, .window = 5300});
  CHECK(notice == "1 older turn of the conversation was left out. 3 older tool results were left out.");
  CHECK(text_at(turns, 0) == text);
  CHECK(turns.messages[1].role == Role::user);
  CHECK(text_at(turns, 1) == "[1 older turn of this conversation was left out here to save room.]");
  CHECK(pairs_are_whole(turns));

  ChatRequest all = request;
  CHECK_FALSE(take_out(Feature::history, all, {.keep_turns = 1}).empty());
  // The system text, the note, the newest turn of the user, and the newest result with its call.
  CHECK(all.messages.size() == 5);
  CHECK(pairs_are_whole(all));
}

TEST_CASE("system texts, the newest turn of the user and the newest turns stay, whatever the window") {
  const std::string text(400, 'x');
  for (const int keep : {1, 2, 3, 6, 100}) {
    for (const std::int64_t window : {0, 10, 500, 1'000, 100'000}) {
      CAPTURE(keep, window);
      ChatRequest request;
      request.messages = {Message::system("first"), Message::user("old"), Message::assistant(text), Message::user("newest")};
      for (int i = 0; i < 5; ++i) {
        request.messages.push_back(with(Role::assistant, ToolCall{std::to_string(i), "f", text}));
        request.messages.push_back(Message::tool_result(std::to_string(i), text));
      }
      const ChatRequest before = request;
      const bool changed = !take_out(Feature::history, request, {.keep_turns = keep, .window = window}).empty();
      CHECK(changed == (request != before));
      CHECK(text_at(request, 0) == "first");
      CHECK(std::any_of(request.messages.begin(), request.messages.end(),
                        [](const Message& message) { return text_of(message.parts) == "newest"; }));
      const std::size_t kept = std::min(static_cast<std::size_t>(keep), before.messages.size());
      REQUIRE(request.messages.size() >= kept);
      CHECK(std::equal(before.messages.rbegin(), before.messages.rbegin() + static_cast<std::ptrdiff_t>(kept),
                       request.messages.rbegin()));
      CHECK(pairs_are_whole(request));
    }
  }
}

TEST_CASE("an answer that was begun stays behind everything") {
  ChatRequest request;
  request.messages = {Message::user(std::string(4000, 'x')), Message::assistant("a"), Message::user("go"),
                      Message::assistant("once upon")};
  CHECK_FALSE(take_out(Feature::history, request, {.keep_turns = 1, .window = 100}).empty());
  CHECK(text_of(request.messages.back().parts) == "once upon");
}

TEST_CASE("an output limit is lowered to what the window surely leaves, and never below an answer's least") {
  ChatRequest request{std::string(4000, 'x')};  // 1,000 tokens by the estimate, 1,250 to be safe
  request.max_output_tokens = 3000;
  CHECK(take_out(Feature::output, request, {.window = 2500}) ==
        "The answer was limited to 1250 tokens, where 3000 were wanted.");
  CHECK(request.max_output_tokens == 1250);
  CHECK_FALSE(take_out(Feature::output, request, {.window = 500}).empty());
  CHECK(request.max_output_tokens == 256);
  CHECK(take_out(Feature::output, request, {.window = 500}).empty());
  CHECK(take_out(Feature::output, request, {.window = 100'000}).empty());
  CHECK(take_out(Feature::output, request, {}).empty());
}

TEST_CASE("where the window is no help the output is halved, of the request or of what the model writes at most") {
  struct Row {
    std::optional<std::int64_t> asked;
    ReductionOptions options;
    std::optional<std::int64_t> then;  // unset: nothing changes
  };
  const ReductionOptions halved{.halve_output = true};
  const std::vector<Row> rows{
      {3000, halved, 1500},
      {3000, {.most_output = 1000, .halve_output = true}, 500},
      {std::nullopt, {.most_output = 8000, .halve_output = true}, 4000},
      {std::nullopt, halved, std::nullopt},  // what would be halved?
      {400, halved, 256},
      {256, halved, std::nullopt},
      {100, halved, std::nullopt},
      // The window leaves room for all of it, and yet it did not fit: the window is smaller than is known.
      {3000, {.window = 100'000, .halve_output = true}, 1500},
      {3000, {.window = 2500, .halve_output = true}, 1250},
      // Lowered to what the model writes without a rung.
      {3000, {.most_output = 1000}, std::nullopt},
      {3000, {.window = 100'000, .most_output = 1000}, std::nullopt},
      {std::nullopt, {.window = 2500, .most_output = 8000}, 1250},
      {std::nullopt, {.window = 2500}, std::nullopt},
  };
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const Row& row = rows[index];
    CAPTURE(index);
    ChatRequest request{std::string(4000, 'x')};
    request.max_output_tokens = row.asked;
    const bool taken = !take_out(Feature::output, request, row.options).empty();
    CHECK(taken == row.then.has_value());
    CHECK(request.max_output_tokens == (row.then ? row.then : row.asked));
  }
}

TEST_CASE("an effort that was asked for is named") {
  ChatRequest request{"x"};
  request.reasoning_effort = "high";
  CHECK(take_out(Feature::reasoning, request) == "The model was not asked to think, where effort \"high\" was wanted.");
  CHECK(request.reasoning_effort.empty());
}

}  // namespace reduce_test
