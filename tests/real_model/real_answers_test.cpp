#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>
#include <algorithm>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/routing/degrade.hpp"
#include "real_targets.hpp"

namespace real_answers_test {

using namespace backstop;
using namespace backstop::real_model;
using nlohmann::json;

namespace {

/// One server for all cases of this file.
const RealModelServer& server() {
  static const RealModelServer running = RealModelServer::start({.alias = "smollm2-135m", .tools = true});
  return running;
}

FallbackClient client_on(Wire wire) { return FallbackClient{target_on(server(), wire, "real")}; }

ChatRequest short_question() {
  ChatRequest request{"Name three colours."};
  request.max_output_tokens = 12;
  request.temperature = 0.0;
  return request;
}

}  // namespace

TEST_CASE("a real model answers plainly on both wires") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  const auto reply = client_on(wire).chat(short_question());

  need(reply);
  CHECK_FALSE(reply->text().empty());
  CHECK((reply->finish_reason == FinishReason::length || reply->finish_reason == FinishReason::stop));
  CHECK(reply->model == "smollm2-135m");
  CHECK(reply->served_by.name() == "real/smollm2");
  CHECK_FALSE(reply->fallback);
  CHECK(reply->usage.input_tokens > 10);
  CHECK(reply->usage.output_tokens > 0);
  CHECK(reply->usage.output_tokens <= 12);
  CHECK(only_answer(*reply).http_status == 200);
}

TEST_CASE("a real model streams on both wires, and the pieces are the answer") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  std::string text;
  int pieces = 0;
  int ends = 0;
  auto stream = client_on(wire).stream(short_question());
  for (const StreamEvent& event : stream) {
    if (event.type == StreamEvent::Type::text) {
      text += event.delta;
      ++pieces;
    } else {
      CHECK(event.type == StreamEvent::Type::finished);
      ++ends;
    }
  }
  const auto& reply = stream.result();

  need(reply);
  CHECK(pieces > 1);
  CHECK(ends == 1);
  CHECK(text == reply->text());
  CHECK(reply->model == "smollm2-135m");
  CHECK(reply->usage.input_tokens > 10);
  CHECK(reply->usage.output_tokens <= 12);
  CHECK(only_answer(*reply).ttft > std::chrono::nanoseconds{0});
}

TEST_CASE("a real model is held to a JSON schema") {
  need_real_model();
  ChatRequest request{"Describe a person."};
  request.max_output_tokens = 200;
  request.response_format = ResponseFormat{
      .type = ResponseFormat::Type::json_schema,
      .name = "person",
      .schema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":20},"age":{"type":"integer"}},
                    "required":["name","age"],"additionalProperties":false})"};
  const auto reply = client_on(Wire::openai).chat(request);

  need(reply);
  const auto person = json::parse(reply->text(), nullptr, false);
  REQUIRE(person.is_object());
  CHECK(person.size() == 2);
  CHECK(person["name"].is_string());
  CHECK(person["age"].is_number_integer());
}

TEST_CASE("a schema that a real model misses is met by the next target") {
  need_real_model();
  ChatRequest request{"Describe a person."};
  request.max_output_tokens = 200;
  request.temperature = 0.0;
  request.response_format = ResponseFormat{
      .type = ResponseFormat::Type::json_schema,
      .name = "person",
      .schema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":20},"age":{"type":"integer"}},
                    "required":["name","age"],"additionalProperties":false})"};
  ModelOptions told;  // of the schema, in words
  told.capabilities = Capabilities{.json_schema = false};
  const Policy floor = accept_if(matches_schema());
  FallbackOptions options;
  options.degrade = {degrade::json_schema()};
  options.degrade_early = true;
  const FallbackClient client{{target_on(server(), Wire::openai, "told", told) | floor,
                               target_on(server(), Wire::openai, "held") | floor},
                              options};
  const bool streams = GENERATE(false, true);
  std::string text;
  Result<ChatResponse> reply = Error{};
  if (streams) {
    ChatStream stream = client.stream(request);
    for (const StreamEvent& event : stream) {
      if (event.type == StreamEvent::Type::text) text += event.delta;
      CHECK(event.type != StreamEvent::Type::restarted);
    }
    reply = stream.result();
  } else {
    reply = client.chat(request);
  }

  need(reply);
  CHECK(reply->served_by.name() == "held/smollm2");
  const auto person = json::parse(reply->text(), nullptr, false);
  REQUIRE(person.is_object());
  CHECK(person["age"].is_number_integer());
  if (streams) CHECK(text == reply->text());
  CHECK_FALSE(reply->degradation);
  REQUIRE(reply->attempts.size() >= 2);
  CHECK(std::any_of(reply->attempts.begin(), reply->attempts.end(), [](const Attempt& row) {
    return row.target.name() == "told/smollm2" && row.outcome == ErrorKind::rejected_response;
  }));
}

TEST_CASE("a real model calls a tool, plainly and streamed, and uses what the tool returned") {
  need_real_model();
  const auto wire = GENERATE(Wire::openai, Wire::anthropic);
  const auto client = client_on(wire);
  auto request = sum_question();
  const auto reply = client.chat(request);
  need(reply);
  check_is_the_sum(*reply);

  std::vector<std::string> streamed_calls;
  auto stream = client.stream(request);
  for (const StreamEvent& event : stream) {
    if (event.type == StreamEvent::Type::tool_call) streamed_calls.push_back(event.tool_call->name);
  }
  CHECK(streamed_calls == std::vector<std::string>{"add"});
  const auto& streamed = stream.result();
  need(streamed);
  check_is_the_sum(*streamed);

  request.messages.push_back(reply->message());
  request.messages.push_back(Message::tool_result(reply->tool_calls()[0].id, "7"));
  const auto last = client.chat(request);
  need(last);
  CHECK_FALSE(last->text().empty());
}

TEST_CASE("a conversation goes from one wire to the other") {
  need_real_model();
  auto request = sum_question();
  const auto first = client_on(Wire::openai).chat(request);
  need(first);
  REQUIRE(first->tool_calls().size() == 1);
  request.messages.push_back(first->message());
  request.messages.push_back(Message::tool_result(first->tool_calls()[0].id, "7"));
  const auto second = client_on(Wire::anthropic).chat(request);
  need(second);
  CHECK_FALSE(second->text().empty());
}

}  // namespace real_answers_test
