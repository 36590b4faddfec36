#include <string>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "support/fault_server.hpp"

namespace openai_responses_fallback_test {

using namespace backstop;
using Json = nlohmann::json;

/// A chat with tools over real sockets, in which the two wires of OpenAI take turns.
namespace {

const Tool clock_tool{"clock", "Tells the time", R"({"type":"object","properties":{"city":{"type":"string"}}})", {}};

faults::Answer calls_for(const std::string& first, const std::string& second) {
  return {.text = "One moment.",
          .reasoning = "I have to look.",
          .calls = {{first, "clock", R"({"city":"Rome"})"}, {second, "clock", R"({"city":"Oslo"})"}}};
}

/// The next answer, streamed or not.
Result<ChatResponse> ask(const FallbackClient& client, const ChatRequest& request, bool stream) {
  if (!stream) return client.chat(request);
  ChatStream events = client.stream(request);
  for (const StreamEvent& event : events) static_cast<void>(event);
  return events.result();
}

void add_results(ChatRequest& request, const ChatResponse& reply) {
  request.messages.push_back(reply.message());
  Message results{Role::tool, {}};
  for (const ToolCall& call : reply.tool_calls()) {
    results.parts.emplace_back(ToolResult{call.id, Json::parse(call.arguments)["city"] == "Rome" ? "10:00" : "no clock",
                                          Json::parse(call.arguments)["city"] != "Rome"});
  }
  request.messages.push_back(std::move(results));
}

Json body_of(const faults::FaultServer& server) { return Json::parse(server.requests().back().body); }

}  // namespace

TEST_CASE("a chat with tools goes from the chat wire to Responses and back, and nothing of it is lost") {
  for (const bool stream : {false, true}) {
    CAPTURE(stream);
    faults::FaultServer chat;
    faults::FaultServer responses;
    const FallbackClient client{
        openai({.model = "gpt-4o", .api_key = "key", .base_url = chat.base_url("/v1")}),
        openai_responses({.model = "gpt-5.6-sol", .api_key = "key", .base_url = responses.base_url("/v1")})};
    ChatRequest request{std::vector<Message>{Message::system("Be exact."), Message::user("What time is it?")}};
    request.tools = {clock_tool};

    chat.next(faults::answer(calls_for("call_a", "call_b")));
    const Result<ChatResponse> first = ask(client, request, stream);
    REQUIRE(first);
    CHECK(first->served_by.name() == "openai/gpt-4o");
    REQUIRE(first->tool_calls().size() == 2);
    add_results(request, *first);

    chat.next(faults::status(400, {}, R"({"error":{"message":"gone","code":"model_not_found"}})"));
    responses.next(faults::answer(calls_for("call_c", "call_d")));
    const Result<ChatResponse> second = ask(client, request, stream);
    REQUIRE(second);
    CHECK(second->served_by.name() == "openai/gpt-5.6-sol");
    CHECK(second->fallback);
    CHECK(second->text() == "One moment.");
    CHECK(second->reasoning() == "I have to look.");
    REQUIRE(second->tool_calls().size() == 2);
    CHECK(second->finish_reason == FinishReason::tool_calls);
    const Json asked = body_of(responses);
    CHECK(asked["instructions"] == "Be exact.");
    CHECK(asked["input"] == Json::parse(R"([
      {"role":"user","content":"What time is it?"},
      {"role":"assistant","content":"One moment."},
      {"type":"function_call","call_id":"call_a","name":"clock","arguments":"{\"city\":\"Rome\"}"},
      {"type":"function_call","call_id":"call_b","name":"clock","arguments":"{\"city\":\"Oslo\"}"},
      {"type":"function_call_output","call_id":"call_a","output":"10:00"},
      {"type":"function_call_output","call_id":"call_b","output":"Error: no clock"}])"));
    add_results(request, *second);

    // The first model is put aside for a while; another client has not heard of it.
    const FallbackClient again{openai({.model = "gpt-4o", .api_key = "key", .base_url = chat.base_url("/v1")}),
                               openai_responses({.model = "gpt-5.6-sol", .api_key = "key",
                                                 .base_url = responses.base_url("/v1")})};
    chat.next(faults::answer("It is ten in Rome."));
    const Result<ChatResponse> third = ask(again, request, stream);
    REQUIRE(third);
    CHECK(third->served_by.name() == "openai/gpt-4o");
    CHECK(third->text() == "It is ten in Rome.");
    const Json messages = body_of(chat)["messages"];
    REQUIRE(messages.size() == 8);
    CHECK(messages[5]["tool_calls"][0]["id"] == "call_c");
    CHECK(messages[6]["content"] == "10:00");
    CHECK(messages[7] == Json::parse(R"({"role":"tool","tool_call_id":"call_d","content":"Error: no clock"})"));
    CHECK(messages.dump().find("I have to look.") == std::string::npos);
    CHECK(messages.dump().find("fault-signature") == std::string::npos);
  }
}

TEST_CASE("a Responses stream that breaks before its content is replaced unseen, and after it is an error") {
  faults::FaultServer responses;
  faults::FaultServer chat;
  chat.always(faults::answer("All is well."));
  const auto client = [&] {
    return FallbackClient{openai_responses({.model = "gpt-5.6-sol", .api_key = "key",
                                            .base_url = responses.base_url("/v1")}),
                          openai({.model = "gpt-4o", .api_key = "key", .base_url = chat.base_url("/v1")})};
  };
  for (const faults::Behaviour& fault : {faults::cut_stream(0), faults::error_event_after(0), faults::malformed_json(0),
                                         faults::rate_limited(), faults::end_without_done({.text = ""})}) {
    CAPTURE(fault.name);
    responses.next(fault);
    const Result<ChatResponse> reply = ask(client(), "Hi", true);
    REQUIRE(reply);
    CHECK(reply->text() == "All is well.");
  }
  for (const faults::Behaviour& fault :
       {faults::cut_stream(2, {.text = "one two three"}), faults::error_event_after(2, {}, {.text = "one two three"})}) {
    CAPTURE(fault.name);
    responses.next(fault);
    const Result<ChatResponse> reply = ask(client(), "Hi", true);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(reply.error().partial_text == "one two");
  }
}

}  // namespace openai_responses_fallback_test
