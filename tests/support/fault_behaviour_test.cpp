#include "support/fault_behaviour.hpp"

#include <curl/curl.h>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "curl_client.hpp"
#include "support/fault_server.hpp"

namespace fault_behaviour_test {

namespace faults = backstop::faults;
using faults::anthropic_text;
using faults::Client;
using faults::data_of;
using faults::FaultServer;
using faults::openai_text;
using faults::responses_text;
using faults::Wire;
using nlohmann::json;
using namespace std::chrono_literals;

TEST_CASE("usage comes as a last chunk if the OpenAI request asks for it") {
  FaultServer server;
  Client client;
  server.next(faults::answer({.text = "One two three", .tokens_per_event = 3, .usage = {.input = 7, .cached = 2}}));
  const json body{{"stream", true}, {"stream_options", {{"include_usage", true}}}};
  const auto answer = client.post(server.base_url("/openai/v1/chat/completions?a=b"), body.dump());

  const auto lines = data_of(answer.body);
  REQUIRE(lines.size() == 5);
  const auto last = json::parse(lines[3]);
  CHECK(last["choices"].empty());
  CHECK(last["usage"]["prompt_tokens"] == 7);
  CHECK(last["usage"]["completion_tokens"] == 3);
  CHECK(last["usage"]["prompt_tokens_details"]["cached_tokens"] == 2);
}

TEST_CASE("tool calls and reasoning are told in each wire's words") {
  FaultServer server;
  Client client;
  server.always(faults::tool_call("add", R"({"a":3,"b":4})", "call_7"));

  const auto plain = client.ask(server, Wire::openai, false).parsed()["choices"][0];
  CHECK(plain["finish_reason"] == "tool_calls");
  CHECK(plain["message"]["content"].is_null());
  CHECK(plain["message"]["tool_calls"][0]["function"]["arguments"] == R"({"a":3,"b":4})");

  std::string arguments;
  for (const auto& line : data_of(client.ask(server, Wire::openai, true).body)) {
    const auto event = json::parse(line, nullptr, false);
    if (event.is_discarded() || !event["choices"][0]["delta"].contains("tool_calls")) continue;
    arguments += event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].get<std::string>();
  }
  CHECK(arguments == R"({"a":3,"b":4})");

  const auto block = client.ask(server, Wire::anthropic, false).parsed()["content"][0];
  CHECK(block["type"] == "tool_use");
  CHECK(block["id"] == "call_7");
  CHECK(block["input"] == json{{"a", 3}, {"b", 4}});
  CHECK(client.ask(server, Wire::anthropic, true).has("input_json_delta"));

  server.always(faults::reasoning("Hm, let me see.", "Yes."));
  CHECK(client.ask(server, Wire::openai, false).parsed()["choices"][0]["message"]["reasoning_content"] ==
        "Hm, let me see.");
  CHECK(client.ask(server, Wire::anthropic, false).parsed()["content"][0]["type"] == "thinking");
  CHECK(client.ask(server, Wire::anthropic, true).has("signature_delta"));
}

TEST_CASE("refusals have their status, headers and the wire's own body, in the order in which they were queued") {
  FaultServer server;
  Client client;
  server.next(faults::status(503, {{"Retry-After", "7"}}));
  server.next(faults::rate_limited(3s));
  server.next(faults::quota_exhausted());
  server.next(faults::quota_exhausted());
  server.next(faults::overloaded());
  server.next(faults::unauthorized());
  server.next(faults::context_too_long());
  server.next(faults::model_not_found());
  server.next(faults::html_502());
  server.next(faults::status(418, {{"content-type", "text/plain"}}, "short and stout"));

  const auto unavailable = client.ask(server, Wire::openai, true);
  CHECK(unavailable.status == 503);
  CHECK(unavailable.head.find("Retry-After: 7\r\n") != std::string::npos);
  CHECK(unavailable.parsed()["error"]["code"].is_null());

  const auto limited = client.ask(server, Wire::openai, false);
  CHECK(limited.status == 429);
  CHECK(limited.head.find("retry-after: 3\r\n") != std::string::npos);
  CHECK(limited.parsed()["error"]["code"] == "rate_limit_exceeded");

  CHECK(client.ask(server, Wire::openai, false).parsed()["error"]["code"] == "insufficient_quota");
  CHECK(client.ask(server, Wire::anthropic, false).status == 400);
  const auto overloaded = client.ask(server, Wire::anthropic, true);
  CHECK(overloaded.status == 529);
  CHECK(overloaded.parsed()["error"]["type"] == "overloaded_error");
  CHECK(client.ask(server, Wire::anthropic, false).status == 401);
  CHECK(client.ask(server, Wire::openai, false).parsed()["error"]["code"] == "context_length_exceeded");
  CHECK(client.ask(server, Wire::openai, false).status == 404);
  CHECK(client.ask(server, Wire::openai, false).has("<html>"));
  const auto teapot = client.ask(server, Wire::openai, false);
  CHECK(teapot.status == 418);
  CHECK(teapot.body == "short and stout");
  CHECK(teapot.head.find("application/json") == std::string::npos);
  CHECK(client.ask(server, Wire::openai, false).status == 200);
}

TEST_CASE("connections fail before, at and after the headers") {
  FaultServer server;
  Client client;

  server.next(faults::accept_and_close());
  const auto closed = client.ask(server, Wire::openai, false).code;
  CHECK((closed == CURLE_GOT_NOTHING || closed == CURLE_SEND_ERROR || closed == CURLE_RECV_ERROR));
  CHECK(server.request_count() == 0);

  server.next(faults::close_after_request());
  CHECK(client.ask(server, Wire::openai, false).code == CURLE_GOT_NOTHING);
  server.next(faults::reset_before_headers());
  CHECK(client.ask(server, Wire::openai, false).code == CURLE_RECV_ERROR);
  server.next(faults::reset_after_headers());
  const auto reset = client.ask(server, Wire::openai, true);
  CHECK(reset.code == CURLE_RECV_ERROR);
  CHECK(reset.status == 200);
  CHECK(reset.body.empty());
  CHECK(client.ask(server, Wire::openai, false).code == CURLE_OK);
}

TEST_CASE("a stream is cut or reset after so many events with content") {
  FaultServer server;
  Client client;
  for (const auto wire : faults::every_wire) {
    const auto text_of = [wire](const std::string& body) { return faults::text_on(wire, body); };
    // There the first piece has content.
    const bool opens_with_content = wire == Wire::gemini || wire == Wire::ollama;
    server.next(faults::cut_stream(2, {.text = "one two three four"}));
    const auto cut = client.ask(server, wire, true);
    CHECK(cut.code == CURLE_PARTIAL_FILE);
    CHECK(text_of(cut.body) == "one two");

    server.next(faults::cut_stream(0));
    const auto empty = client.ask(server, wire, true);
    CHECK(empty.code == CURLE_PARTIAL_FILE);
    CHECK(text_of(empty.body).empty());
    CHECK(empty.body.empty() == opens_with_content);

    server.next(faults::cut_stream(100, {.text = "one two"}));
    const auto late = client.ask(server, wire, true);
    CHECK(text_of(late.body) == "one two");
    CHECK_FALSE(late.has("end_turn"));
    CHECK_FALSE(late.has("\"stop\""));
    CHECK_FALSE(late.has("response.completed"));
    CHECK_FALSE(late.has("STOP"));
    CHECK_FALSE(late.has("message-end"));

    server.next(faults::reset_stream(1, {.text = "one two"}));
    const auto reset = client.ask(server, wire, true);
    CHECK(reset.code == CURLE_RECV_ERROR);
    CHECK(text_of(reset.body) == "one");
  }
}

TEST_CASE("a plain body is cut short of its length") {
  FaultServer server;
  Client client;
  server.next(faults::truncated_body());
  CHECK(client.ask(server, Wire::openai, false).code == CURLE_PARTIAL_FILE);
  server.next(faults::truncated_body());
  CHECK(client.ask(server, Wire::anthropic, true).code == CURLE_PARTIAL_FILE);
  server.next(faults::cut_stream(0));
  const auto cut = client.ask(server, Wire::openai, false);
  CHECK(cut.code == CURLE_PARTIAL_FILE);
  CHECK_FALSE(cut.body.empty());
}

TEST_CASE("a stream can be wrong though HTTP is right") {
  FaultServer server;
  Client client;

  server.next(faults::end_without_done({.text = "one two"}));
  const auto endless = client.ask(server, Wire::openai, true);
  CHECK(endless.code == CURLE_OK);
  CHECK(openai_text(endless.body) == "one two");
  CHECK_FALSE(endless.has("[DONE]"));
  CHECK_FALSE(endless.has("\"stop\""));

  server.next(faults::error_event_after(0));
  const auto first = client.ask(server, Wire::anthropic, true);
  CHECK(first.status == 200);
  CHECK(first.body.starts_with("event: error\n"));
  server.next(faults::error_event_after(1, faults::ErrorWords{"server_error", "Broken."}, {.text = "one two"}));
  const auto later = client.ask(server, Wire::openai, true);
  CHECK(openai_text(later.body) == "one");
  CHECK(json::parse(data_of(later.body).back())["error"]["message"] == "Broken.");
  server.next(faults::error_event_after(1));
  CHECK(client.ask(server, Wire::openai, false).parsed().contains("error"));

  server.next(faults::malformed_json(1, {.text = "one two"}));
  const auto broken = data_of(client.ask(server, Wire::openai, true).body);
  CHECK(json::parse(broken[1], nullptr, false).is_object());
  CHECK(json::parse(broken[2], nullptr, false).is_discarded());
  server.next(faults::malformed_json());
  const auto plain = client.ask(server, Wire::openai, false);
  CHECK(plain.code == CURLE_OK);
  CHECK_FALSE(json::accept(plain.body));

  server.next(faults::empty_choices());
  CHECK(client.ask(server, Wire::openai, false).parsed()["choices"].empty());
  server.next(faults::empty_choices());
  CHECK(client.ask(server, Wire::anthropic, false).parsed()["content"].empty());
  server.next(faults::empty_choices());
  CHECK(data_of(client.ask(server, Wire::openai, true).body).back() == "[DONE]");

  server.next(faults::ignores_stream());
  const auto ignored = client.ask(server, Wire::openai, true);
  CHECK(ignored.head.find("content-type: application/json") != std::string::npos);
  CHECK(ignored.parsed()["object"] == "chat.completion");
  CHECK(server.connection_count() == 1);
}

TEST_CASE("silence, stalls and pings last until the client leaves, and the server sees it leave") {
  FaultServer server;
  const auto leaves = [&](bool stream) {
    Client client;
    CURL* handle = client.prepare(server.base_url("/v1/chat/completions"), stream ? R"({"stream":true})" : "{}");
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 30L);
    return client.finish(curl_easy_perform(handle));
  };

  server.next(faults::silence());
  CHECK(leaves(false).code == CURLE_OPERATION_TIMEDOUT);
  REQUIRE(server.wait_for_disconnect(5s, 1));

  server.next(faults::stall_stream(1, {.text = "one two"}));
  const auto stalled = leaves(true);
  CHECK(stalled.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(openai_text(stalled.body) == "one");
  REQUIRE(server.wait_for_disconnect(5s, 2));

  server.next(faults::pings_only(2ms));
  const auto pinged = leaves(true);
  CHECK(pinged.code == CURLE_OPERATION_TIMEDOUT);
  CHECK(pinged.has(": keep-alive\n\n: keep-alive\n\n"));
  REQUIRE(server.wait_for_disconnect(5s, 3));
  CHECK(server.open_connections() == 0);
}

TEST_CASE("delays come before the headers, before the first content and between events") {
  using Clock = std::chrono::steady_clock;
  FaultServer server;
  Client client;
  const auto lasts = [&](bool stream) {
    const auto start = Clock::now();
    const auto exchange = client.ask(server, Wire::openai, stream);
    CHECK(exchange.code == CURLE_OK);
    return Clock::now() - start;
  };
  server.next(faults::slow_headers(20ms));
  CHECK(lasts(false) >= 20ms);
  server.next(faults::answer({.text = "one two three", .delay_before_first = 10ms, .delay_between = 10ms}));
  CHECK(lasts(true) >= 30ms);
}

TEST_CASE("a dribbled answer is the same answer in small pieces") {
  FaultServer server;
  Client client;
  server.next(faults::dribble(faults::answer("caf\u00e9 au lait")));
  const auto answer = client.ask(server, Wire::anthropic, true);
  CHECK(answer.code == CURLE_OK);
  CHECK(anthropic_text(answer.body) == "caf\u00e9 au lait");

  server.next(faults::dribble(faults::raw("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"), 1ms));
  const auto small = client.ask(server, Wire::openai, false);
  CHECK(small.body == "abc");
  CHECK(small.pieces.size() == 3);
}

TEST_CASE("raw bytes, huge headers and coalesced writes") {
  FaultServer server;
  Client client;
  server.next(faults::raw("SSH-2.0-OpenSSH_9.2\r\n"));
  CHECK(client.ask(server, Wire::openai, false).code != CURLE_OK);
  server.next(faults::raw("HTTP/1.1 204 Fine\r\n\r\n", false));
  CHECK(client.ask(server, Wire::openai, false).status == 204);
  server.next(faults::huge_header(50'000));
  CHECK(client.ask(server, Wire::openai, false).head.size() > 50'000);
  server.next(faults::huge_header());
  CHECK(client.ask(server, Wire::openai, false).code != CURLE_OK);
  server.next(faults::coalesced(faults::answer("one two three")));
  CHECK(openai_text(client.ask(server, Wire::openai, true).body) == "one two three");
}

TEST_CASE("headers can be added to any answer, those of rate limits in the wire's words") {
  FaultServer server;
  Client client;
  server.next(faults::with_headers({{"x-should-retry", "false"}}, faults::overloaded()));
  const auto refusal = client.ask(server, Wire::openai, false);
  CHECK(refusal.status == 503);
  CHECK(refusal.head.find("x-should-retry: false\r\n") != std::string::npos);

  server.always(faults::with_rate_limits({60, 3, 90s}, {1000, 0, 5s}));
  const auto openai = client.ask(server, Wire::openai, true);
  CHECK(openai_text(openai.body).size() > 0);
  CHECK(openai.head.find("x-ratelimit-remaining-requests: 3\r\n") != std::string::npos);
  CHECK(openai.head.find("x-ratelimit-reset-requests: 1m30s\r\n") != std::string::npos);
  CHECK(openai.head.find("x-ratelimit-limit-tokens: 1000\r\n") != std::string::npos);
  const auto anthropic = client.ask(server, Wire::anthropic, false);
  CHECK(anthropic.head.find("anthropic-ratelimit-tokens-remaining: 0\r\n") != std::string::npos);
  CHECK(anthropic.head.find("anthropic-ratelimit-tokens-reset: 20") != std::string::npos);
}

TEST_CASE("a stream can do without its terminal marker, and with a long silence before it is closed") {
  FaultServer server;
  Client client;
  server.next(faults::without_done({.text = "One two"}));
  const auto whole = client.ask(server, Wire::openai, true);
  CHECK(openai_text(whole.body) == "One two");
  CHECK(whole.has("\"finish_reason\":\"stop\""));
  CHECK_FALSE(whole.has("[DONE]"));
  server.next(faults::without_done());
  CHECK(client.ask(server, Wire::anthropic, true).has("message_stop"));

  server.next(faults::stall_then_close(1, 1ms, {.text = "One two"}));
  const auto cut = client.ask(server, Wire::openai, true);
  CHECK(cut.code == CURLE_PARTIAL_FILE);
  CHECK(openai_text(cut.body) == "One");
}

TEST_CASE("a filter gives its reason, and a prefilled turn is refused where the model does not take it") {
  FaultServer server;
  Client client;
  server.next(faults::content_filtered("No poems."));
  const auto refusal = client.ask(server, Wire::openai, false);
  CHECK(refusal.status == 400);
  CHECK(refusal.parsed()["error"]["message"] == "No poems.");
  CHECK(refusal.parsed()["error"]["code"] == "content_policy_violation");

  server.always(faults::refuses_prefill({.text = "Yes"}));
  json body{{"messages", json::array({{{"role", "user"}, {"content", "Go"}}})}};
  const auto url = server.base_url("/v1/messages");
  CHECK(client.post(url, body.dump()).status == 200);
  body["messages"].push_back({{"role", "assistant"}, {"content", "Once"}});
  CHECK(client.post(url, body.dump()).status == 400);
}

TEST_CASE("an outage ends by itself") {
  FaultServer server;
  Client client;
  server.always(faults::down_for(24h, faults::overloaded()));
  CHECK(client.ask(server, Wire::openai, false).status == 503);
  CHECK(client.ask(server, Wire::openai, false).status == 503);
  server.always(faults::down_for(0ms, faults::overloaded()));
  CHECK(client.ask(server, Wire::openai, false).status == 200);
}

}  // namespace fault_behaviour_test
