#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <string>
#include <utility>
#include <vector>

#include "backstop/app/conversation.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace conversation_test {

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

Message call(std::vector<std::string> ids) {
  Message message{Role::assistant, {}};
  for (std::string& id : ids) message.parts.emplace_back(ToolCall{std::move(id), "weather", R"({"city":"Oslo"})"});
  return message;
}

/// s, a question with its answer, one with a tool, one that tools have been called for twice.
Conversation long_talk() {
  Conversation talk{"Be brief."};
  talk.ask("one").append(Message::assistant("1"));
  talk.ask("two").append(call({"a"})).append(Message::tool_result("a", "12 C")).append(Message::assistant("2"));
  talk.ask("three").append(call({"b", "c"})).append(Message::tool_result("b", "13 C"));
  talk.append(Message::tool_result("c", "14 C")).append(call({"d"})).append(Message::tool_result("d", "15 C"));
  return talk;
}

/// The text, the calls' ids and the results' ids of each message.
std::string outline(const Conversation& talk) {
  std::string text;
  for (const Message& message : talk.messages()) {
    text += text.empty() ? "" : " ";
    text += to_string(message.role)[0];
    text += ':' + text_of(message.parts);
    for (const Part& part : message.parts) {
      if (const auto* one = std::get_if<ToolCall>(&part)) text += one->id;
      if (const auto* one = std::get_if<ToolResult>(&part)) text += one->call_id;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a conversation is what a client is asked, and the answer its next turn") {
  testing::VirtualRuntime world;
  const testing::ScriptedProvider model{"one/a", {testing::answer("Hello."), testing::answer("A pager.")}};
  const FallbackClient client{model, {.runtime = world.share()}};
  Conversation talk{"Be brief."};
  talk.append(client.chat(talk.ask("Hi")).value());
  REQUIRE(client.chat(talk.ask("What is that?")));
  CHECK(outline(talk) == "s:Be brief. u:Hi a:Hello. u:What is that?");
  REQUIRE(model.send_count() == 2);
  CHECK(model.sends()[1].request.messages == talk.messages());
  CHECK(Conversation{""}.messages().empty());
  CHECK(talk.append(ChatResponse{}).messages().size() == 4);
}

TEST_CASE("a copy of a conversation is a branch") {
  Conversation talk{"Be brief."};
  talk.ask("one");
  Conversation branch = talk;
  branch.ask("two");
  talk.ask("three");
  CHECK(outline(talk) == "s:Be brief. u:one u:three");
  CHECK(outline(branch) == "s:Be brief. u:one u:two");
}

TEST_CASE("a conversation is the same after it was written and read") {
  Conversation talk = long_talk();
  Message thought{Role::assistant, {}};
  thought.parts.emplace_back(Reasoning{"hm", "signed", "", Target{"anthropic", "claude"}});
  thought.parts.emplace_back(Text{"Fine."});
  talk.append(std::move(thought));
  talk.append(Message::tool_result("e", "no such city", true));
  const auto read = Conversation::from_json(talk.to_json());
  REQUIRE(read);
  CHECK(*read == talk);
  CHECK(Conversation::from_json("[]")->messages().empty());
  CHECK(Conversation::from_json(Conversation{}.to_json())->messages().empty());
}

TEST_CASE("a text that is no conversation is refused with its place") {
  const auto wrong =
      Conversation::from_json(R"([{"role": "user", "content": "hi"}, {"role": "robot", "content": "hi"}])");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::invalid_request);
  CHECK_THAT(wrong.error().message, ContainsSubstring("[1].role"));
  CHECK_FALSE(Conversation::from_json("[{"));
  CHECK_FALSE(Conversation::from_json("{}"));
}

TEST_CASE("calls that a conversation has gone past are not open, and open ones can be refused by hand") {
  Conversation talk;
  talk.ask("one").append(call({"a", "b"})).append(Message::tool_result("b", "12 C"));
  CHECK(talk.open_calls().size() == 1);
  talk.ask("never mind").append(call({"a"})).append(Message::tool_result("a", "13 C")).append(call({"c", "d"}));
  CHECK(talk.open_calls().size() == 2);
  Conversation past = talk;
  CHECK(past.append(Message::assistant("2")).open_calls().empty());
  CHECK(past.refuse_open_calls("no") == 3);
  CHECK(outline(past) == "u:one a:ab t:b t:a u:never mind a:a t:a a:cd t:c t:d a:2");
  CHECK(talk.refuse_open_calls("cancelled by the user") == 3);
  CHECK(talk.open_calls().empty());
  CHECK(outline(talk) == "u:one a:ab t:b t:a u:never mind a:a t:a a:cd t:c t:d");
  CHECK(talk.messages()[3] == Message::tool_result("a", "cancelled by the user", true));
  CHECK(talk.refuse_open_calls("again") == 0);
  CHECK(Conversation{}.refuse_open_calls("none") == 0);
}

TEST_CASE("open calls are those of the newest answer that have no result") {
  Conversation talk;
  talk.ask("one").append(call({"a", "b", "c"})).append(Message::tool_result("b", "12 C"));
  const std::vector<ToolCall> open = talk.open_calls();
  REQUIRE(open.size() == 2);
  CHECK(open[0].id == "a");
  CHECK(open[1].id == "c");
  talk.append(Message::tool_result("a", "1")).append(Message::tool_result("c", "1"));
  CHECK(talk.open_calls().empty());
  CHECK(Conversation{}.open_calls().empty());
}

TEST_CASE("trimming takes whole exchanges, then whole rounds of tools, and keeps the rest") {
  struct Row {
    std::size_t max_messages;
    std::size_t taken;
    std::string left;
  };
  const std::string whole = outline(long_talk());
  const Row row_of[] = {
      {12, 0, whole},
      {11, 2, "s:Be brief. u:two a:a t:a a:2 u:three a:bc t:b t:c a:d t:d"},
      {9, 6, "s:Be brief. u:three a:bc t:b t:c a:d t:d"},
      {6, 6, "s:Be brief. u:three a:bc t:b t:c a:d t:d"},
      {5, 9, "s:Be brief. u:three a:d t:d"},
      {0, 9, "s:Be brief. u:three a:d t:d"},
  };
  for (const Row& row : row_of) {
    CAPTURE(row.max_messages);
    Conversation talk = long_talk();
    CHECK(talk.trim({.max_messages = row.max_messages}) == row.taken);
    CHECK(outline(talk) == row.left);
  }
}

TEST_CASE("trimming goes by the estimated tokens") {
  Conversation talk{std::string(400, 's')};
  talk.ask(std::string(400, 'x')).append(Message::assistant(std::string(400, 'y'))).ask("now");
  Conversation same = talk;
  CHECK(same.trim({.max_tokens = 301}) == 0);
  CHECK(same == talk);
  CHECK(talk.trim({.max_tokens = 300}) == 2);
  CHECK(talk.messages().size() == 2);
  CHECK(talk.trim({.max_tokens = 1}) == 0);
  CHECK(talk.trim({}) == 0);
}

TEST_CASE("system text between the turns stays, and a talk without a question keeps its newest answer") {
  Conversation talk;
  talk.ask("one").append(Message::system("Now in verse.")).append(Message::assistant("1")).ask("two");
  CHECK(talk.trim({.max_messages = 1}) == 2);
  CHECK(outline(talk) == "s:Now in verse. u:two");
  Conversation answers;
  answers.append(Message::assistant("1")).append(call({"a"})).append(Message::tool_result("a", "2"));
  CHECK(answers.trim({.max_messages = 1}) == 1);
  CHECK(outline(answers) == "a:a t:a");
}

}  // namespace conversation_test
