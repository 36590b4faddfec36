#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "ollama_server.hpp"
#include "real_targets.hpp"

namespace real_ollama_test {

using namespace backstop;
using namespace backstop::real_model;
using nlohmann::json;

namespace {

void need_ollama() {
  if (!OllamaServer::available()) SKIP("Ollama or its model is not there: " BACKSTOP_OLLAMA_PROGRAM);
}

/// The server that nothing happens to: one for all cases of this file.
const OllamaServer& healthy() {
  static const OllamaServer running = OllamaServer::start();
  return running;
}

Provider native(const OllamaServer& server, std::string name, ModelOptions options = {}) {
  if (options.model.empty()) options.model = "smollm2";
  options.name = std::move(name);
  options.base_url = server.base_url();
  return ollama_native(std::move(options));
}

Provider by_openai_wire(const OllamaServer& server, std::string name) {
  return openai_compatible({.model = "smollm2", .base_url = server.base_url("/v1"), .name = std::move(name)});
}

ChatRequest question(std::int64_t tokens = 12) {
  ChatRequest request{"Tell me a long story about a lighthouse."};
  request.max_output_tokens = tokens;
  request.temperature = 0.0;
  return request;
}

/// More words than a window of 1,024 tokens takes, if there are more than a thousand.
ChatRequest long_question(int words) {
  std::string text;
  for (int i = 0; i < words; ++i) text += "lighthouse ";
  ChatRequest request{text + "Tell me a story."};
  request.max_output_tokens = 8;
  return request;
}

}  // namespace

TEST_CASE("a real Ollama answers plainly on its own wire") {
  need_ollama();
  const auto reply = FallbackClient{native(healthy(), "real")}.chat(question());

  need(reply);
  CHECK_FALSE(reply->text().empty());
  CHECK(reply->finish_reason == FinishReason::length);
  CHECK(reply->model == "smollm2");
  CHECK(reply->served_by.name() == "real/smollm2");
  CHECK_FALSE(reply->fallback);
  CHECK(reply->usage.input_tokens > 10);
  CHECK(reply->usage.output_tokens == 12);
  CHECK(only_answer(*reply).http_status == 200);
}

TEST_CASE("a real Ollama streams on its own wire, and the pieces are the answer") {
  need_ollama();
  std::string text;
  int pieces = 0;
  int ends = 0;
  auto stream = FallbackClient{native(healthy(), "real")}.stream(question());
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
  CHECK(reply->usage.input_tokens > 10);
  CHECK(reply->usage.output_tokens == 12);
  CHECK(only_answer(*reply).ttft > std::chrono::nanoseconds{0});
}

TEST_CASE("a real Ollama is held to a JSON schema on its own wire") {
  need_ollama();
  ChatRequest request{"Describe a person."};
  request.max_output_tokens = 200;
  request.response_format = ResponseFormat{
      .type = ResponseFormat::Type::json_schema,
      .name = "person",
      .schema = R"({"type":"object","properties":{"name":{"type":"string","maxLength":20},"age":{"type":"integer"}},
                    "required":["name","age"],"additionalProperties":false})"};
  const auto reply = FallbackClient{native(healthy(), "real")}.chat(request);

  need(reply);
  const auto person = json::parse(reply->text(), nullptr, false);
  REQUIRE(person.is_object());
  CHECK(person["name"].is_string());
  CHECK(person["age"].is_number_integer());
}

TEST_CASE("a real Ollama calls a tool, plainly and streamed, and the conversation goes to its other wire and back") {
  need_ollama();
  const FallbackClient client{native(healthy(), "native")};
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
  need(stream.result());
  check_is_the_sum(*stream.result());

  request.messages.push_back(reply->message());
  request.messages.push_back(Message::tool_result(reply->tool_calls()[0].id, "7"));
  const auto by_other_wire = FallbackClient{by_openai_wire(healthy(), "other")}.chat(request);
  need(by_other_wire);
  CHECK_FALSE(by_other_wire->text().empty());

  request.messages.push_back(by_other_wire->message());
  request.messages.push_back(Message::user("Add 3 and 4."));
  need(client.chat(request));
}

TEST_CASE("a model that is not there, or has no tools, is passed over by what a real Ollama says") {
  need_ollama();
  const bool missing = GENERATE(true, false);
  const FallbackClient client{native(healthy(), "first", {.model = missing ? "no-such-model" : "no-tools"}),
                              native(healthy(), "second")};
  const auto reply = client.chat(sum_question());

  need(reply);
  CHECK(reply->served_by.name() == "second/smollm2");
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome ==
        (missing ? ErrorKind::model_not_found : ErrorKind::unsupported_capability));
  CHECK(reply->attempts[0].http_status == (missing ? 404 : 400));
}

TEST_CASE("a prompt that is too long for a real Ollama is refused, not cut, and goes to the larger window") {
  need_ollama();
  const auto large = native(healthy(), "large", {.context_window = 4096});
  const auto reply = FallbackClient{native(healthy(), "small"), large}.chat(long_question(1200));

  need(reply);
  CHECK(reply->served_by.name() == "large/smollm2");
  CHECK(reply->usage.input_tokens > 1200);
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::context_window_exceeded);
  CHECK(reply->attempts[0].http_status == 400);
}

TEST_CASE("the process that runs the model dies in mid-stream: the error is Ollama's, or the stream restarts") {
  need_ollama();
#ifndef __linux__
  SKIP("that process is found on Linux only");
#endif
  const bool restarts = GENERATE(false, true);
  auto doomed = OllamaServer::start();
  FallbackOptions options;
  options.mid_stream = restarts ? MidStream::restart : MidStream::fail;
  const FallbackClient client{{native(doomed, "doomed"), native(healthy(), "healthy")}, options};

  std::string text;
  int pieces = 0;
  int restarted = 0;
  auto stream = client.stream(question(200));
  for (const StreamEvent& event : stream) {
    if (event.type == StreamEvent::Type::text) {
      text += event.delta;
      if (++pieces == 3) doomed.kill_runner();
    } else if (event.type == StreamEvent::Type::restarted) {
      text.clear();
      ++restarted;
    }
  }
  const auto& reply = stream.result();

  if (restarts) {
    need(reply);
    CHECK(restarted == 1);
    CHECK(reply->text() == text);
    CHECK(reply->served_by.name() == "healthy/smollm2");
    CHECK(reply->attempts[0].outcome == ErrorKind::stream_interrupted);
  } else {
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::stream_interrupted);
    CHECK(reply.error().committed);
    CHECK(reply.error().partial_text == text);
    CHECK_FALSE(reply.error().provider_message.empty());
  }
  need(FallbackClient{native(doomed, "again")}.chat(question()));  // the server has loaded the model anew
}

TEST_CASE("a real Ollama that is gone is a refused connection, and another target answers") {
  need_ollama();
  std::string url;
  {
    const auto gone = OllamaServer::start();
    url = gone.base_url();
  }
  const auto first = ollama_native({.model = "smollm2", .base_url = url, .name = "gone"});
  const auto reply = FallbackClient{first, native(healthy(), "healthy")}.chat(question());

  need(reply);
  CHECK(reply->served_by.name() == "healthy/smollm2");
  CHECK(reply->attempts.front().outcome == ErrorKind::connect_failed);
}

}  // namespace real_ollama_test
