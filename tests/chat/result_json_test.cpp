#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/json.hpp"

namespace result_json_test {

using namespace backstop;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

namespace {

Target priced(const char* provider, const char* model) {
  ModelFacts facts;
  facts.price = Price{Money::usd_per_million(1), Money::usd_per_million(2)};
  return Target{provider, model, facts};
}

Ledger sample_attempts() {
  Attempt failed;
  failed.target = priced("openai", "gpt-5.6-sol");
  failed.outcome = ErrorKind::overloaded;
  failed.sent = true;
  failed.http_status = 503;
  failed.elapsed = 12ms;
  failed.reason = "busy";
  Attempt skipped;
  skipped.target = priced("gemini", "gemini-2.5-pro");
  skipped.outcome = ErrorKind::circuit_open;
  Attempt answered;
  answered.target = priced("anthropic", "claude-sonnet-5");
  answered.sent = true;
  answered.http_status = 200;
  answered.waited = 1500us;
  answered.elapsed = 500ms;
  answered.ttft = 80ms;
  answered.cost = Money::usd(0.00064);
  return {failed, skipped, answered};
}

ChatResponse sample_response() {
  ChatResponse response;
  response.parts = {Reasoning{"hm", "", "", {}}, Text{"Hi"}, ToolCall{"1", "f", R"({"b":1,"a":2})"}};
  response.finish_reason = FinishReason::stop;
  response.usage.input_tokens = 12;
  response.usage.output_tokens = 40;
  response.model = "claude-sonnet-5";
  response.served_by = priced("anthropic", "claude-sonnet-5");
  response.fallback = true;
  response.cost = Money::usd(0.00064);
  response.elapsed = 512ms;
  response.attempts = sample_attempts();
  return response;
}

std::vector<std::string> keys_of(const Json& json) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

}  // namespace

TEST_CASE("an answer has the form that backstop-chat prints") {
  CHECK(json_text(result_to_json(sample_response())) ==
        R"({"ok":true,"text":"Hi","reasoning":"hm","tool_calls":[{"id":"1","name":"f","arguments":{"b":1,"a":2}}],)"
        R"("finish_reason":"stop","usage":{"input_tokens":12,"output_tokens":40,"cached_input_tokens":null,)"
        R"("reasoning_tokens":null},"model":"claude-sonnet-5","served_by":"anthropic/claude-sonnet-5",)"
        R"("fallback":true,"degradation":null,"cost_usd":0.00064,"elapsed_ms":512,"attempts":[)"
        R"({"target":"openai/gpt-5.6-sol","outcome":"overloaded","http_status":503,"waited_ms":0,"ttft_ms":null,)"
        R"("elapsed_ms":12,"cost_usd":0,"cost_estimated":false,"rate_limit":null,"gateway":null,"chosen_by":null,"score":null,"reason":"busy"},)"
        R"({"target":"gemini/gemini-2.5-pro","outcome":"circuit_open","http_status":null,"waited_ms":0,)"
        R"("ttft_ms":null,"elapsed_ms":0,"cost_usd":0,"cost_estimated":false,"rate_limit":null,"gateway":null,"chosen_by":null,"score":null,"reason":null},)"
        R"({"target":"anthropic/claude-sonnet-5","outcome":"ok","http_status":200,"waited_ms":1.5,"ttft_ms":80,)"
        R"("elapsed_ms":500,"cost_usd":0.00064,"cost_estimated":false,"rate_limit":null,"gateway":null,"chosen_by":null,"score":null,"reason":null}],"error":null})");
}

TEST_CASE("each count of tokens stands under its own key") {
  Usage usage;
  usage.input_tokens = 1;
  usage.output_tokens = 2;
  usage.cached_input_tokens = 3;
  usage.cache_write_tokens = 4;
  usage.reasoning_tokens = 5;
  CHECK(json_text(to_json(usage)) ==
        R"({"input_tokens":1,"output_tokens":2,"cached_input_tokens":3,"reasoning_tokens":5})");
}

TEST_CASE("an attempt says what its answer told of the provider's limits") {
  RateLimitStatus status;
  status.requests = {60, 3, 20s};
  status.tokens.limit = 5000;
  status.output_tokens.remaining = 0;
  Attempt attempt;
  attempt.rate_limit = std::make_shared<const RateLimitStatus>(status);
  CHECK(json_text(to_json(attempt)["rate_limit"]) ==
        R"({"requests":{"limit":60,"remaining":3,"reset_after_ms":20000},)"
        R"("tokens":{"limit":5000,"remaining":null,"reset_after_ms":null},"input_tokens":null,)"
        R"("output_tokens":{"limit":null,"remaining":0,"reset_after_ms":null}})");
}

TEST_CASE("an attempt says what a gateway told of it") {
  Attempt attempt;
  attempt.sent = true;
  attempt.gateway = std::make_shared<const GatewayReport>(
      GatewayReport{.served_by = "OpenAI", .cost = Money{}, .attempts = 2});
  CHECK(json_text(to_json(attempt)["gateway"]) == R"({"served_by":"OpenAI","model":null,"cost_usd":0,"attempts":2})");
}

TEST_CASE("a failure has the same keys, and says what is known") {
  Error error{ErrorKind::stream_interrupted, "connection reset"};
  error.target = priced("openai", "gpt-4o");
  error.http_status = 200;
  error.code = "reset";
  error.retry_after = 2500ms;
  error.committed = true;
  error.partial_text = "Once upon";
  error.elapsed = 1s;
  error.attempts = sample_attempts();
  const Json json = result_to_json(Result<ChatResponse>{error});

  CHECK(keys_of(json) == keys_of(result_to_json(sample_response())));
  CHECK(json["ok"] == false);
  CHECK(json["text"].is_null());
  CHECK(json["served_by"].is_null());
  CHECK(json["elapsed_ms"] == 1000);
  CHECK(json["cost_usd"] == 0.00064);
  CHECK(json["attempts"].size() == 3);
  CHECK(json_text(json["error"]) ==
        R"({"kind":"stream_interrupted","message":"connection reset","target":"openai/gpt-4o","http_status":200,)"
        R"("code":"reset","request_id":null,"retry_after_ms":2500,"committed":true,"partial_text":"Once upon"})");
}

TEST_CASE("a failure that does not say how long its call took has the sum of its waits and attempts") {
  Error error{ErrorKind::server_error, "the provider failed"};
  error.attempts = sample_attempts();
  CHECK(result_to_json(Result<ChatResponse>{error})["elapsed_ms"] == 12 + 1.5 + 500);
}

TEST_CASE("text that was not delivered is not told as if it had been") {
  Error error{ErrorKind::stream_interrupted, "connection reset"};
  error.partial_text = "held back";
  CHECK(to_json(error)["partial_text"].is_null());
  error.committed = true;
  CHECK(to_json(error)["partial_text"] == "held back");
}

TEST_CASE("the provider's own words are the message of an error, and stand in an attempt's reason") {
  Error error{ErrorKind::overloaded, "the provider is overloaded"};
  Attempt& attempt = error.attempts.emplace_back();
  attempt.reason = error.message;
  CHECK(to_json(error)["message"] == "the provider is overloaded");
  error.provider_message = attempt.provider_message = "Overloaded";
  const Json json = result_to_json(Result<ChatResponse>{error});
  CHECK(json["error"]["message"] == "Overloaded");
  CHECK(json["attempts"][0]["reason"] == "the provider is overloaded (it said: Overloaded)");
}

TEST_CASE("an empty failure still has every key") {
  const Json json = result_to_json(Result<ChatResponse>{Error{ErrorKind::cancelled, "stopped"}});
  CHECK(keys_of(json) == keys_of(result_to_json(sample_response())));
  CHECK(json_text(json["error"]) ==
        R"({"kind":"cancelled","message":"stopped","target":null,"http_status":null,"code":null,"request_id":null,)"
        R"("retry_after_ms":null,"committed":false,"partial_text":null})");
  CHECK(json["attempts"] == Json::array());
  CHECK(json["cost_usd"] == 0);
}

TEST_CASE("a cost that is not known is null, of an attempt, an answer and a failure") {
  Attempt attempt;
  attempt.target = Target::parse("local/tiny");
  attempt.sent = true;
  CHECK(to_json(attempt)["cost_usd"] == 0);
  attempt.cost_known = false;
  CHECK(to_json(attempt)["cost_usd"].is_null());

  ChatResponse response = sample_response();
  response.cost_known = false;
  CHECK(result_to_json(response)["cost_usd"].is_null());
  Error error{ErrorKind::timeout, "late"};
  CHECK(result_to_json(Result<ChatResponse>{error})["cost_usd"] == 0);
  error.cost_known = false;
  CHECK(result_to_json(Result<ChatResponse>{error})["cost_usd"].is_null());
}

TEST_CASE("degradation says what was given up") {
  ChatResponse response = sample_response();
  response.degradation = Degradation{{"vision"}, "no target can see", "Images were left out."};
  CHECK(json_text(to_json(response)["degradation"]) ==
        R"({"features":["vision"],"reason":"no target can see","notice":"Images were left out."})");
}

TEST_CASE("arguments of a tool call are an object, whatever the model wrote") {
  CHECK(json_text(arguments_to_json(R"({"z": 1, "a": [2]})")) == R"({"z":1,"a":[2]})");
  CHECK(json_text(arguments_to_json("")) == "{}");
  CHECK(json_text(arguments_to_json(" \n")) == "{}");
  CHECK(json_text(arguments_to_json("null")) == "{}");
  CHECK(json_text(arguments_to_json(R"({"a": )")) == R"({"rawInvalidInput":"{\"a\": "})");
  CHECK(json_text(arguments_to_json("[1]")) == R"({"rawInvalidInput":"[1]"})");
  CHECK(json_text(arguments_to_json("\xff")) == "{\"rawInvalidInput\":\"\xef\xbf\xbd\"}");
  const std::string deep = R"({"a":)" + std::string(50'000, '[') + std::string(50'000, ']') + "}";
  CHECK(arguments_to_json(deep)["rawInvalidInput"] == deep);
}

TEST_CASE("numbers of a tool call's arguments are written as they were, whatever their size") {
  for (const std::string arguments :
       {R"({"id":123456789012345678901234567890,"n":[-98765432109876543210,1e999]})", R"({"u":18446744073709551615})",
        R"({"d":0.12345678901234567890123,"s":"123456789012345678901234567890","t":"\"1e999"})"}) {
    CHECK(json_text(arguments_to_json(arguments)) == arguments);
    ChatResponse response;
    response.parts.emplace_back(ToolCall{"call_1", "f", arguments});
    CHECK(json_text(result_to_json(response)).find("\"arguments\":" + arguments) != std::string::npos);
    const auto back = messages_from_json(to_json(std::vector{response.message()}));
    REQUIRE(back);
    CHECK(back->at(0).parts == response.parts);
  }
  // A text is none of them, though it begins with the mark.
  for (const std::string text : {"\xEF\xB7\x90", "\xEF\xB7\x90" "12", "\xEF\xB7\x90,\"a\":", "\xEF\xB7\x90NaN"}) {
    CHECK(nlohmann::ordered_json::parse(json_text(text)) == text);
  }
}

TEST_CASE("events of a stream are lines") {
  const auto line = [](const StreamEvent& event) { return json_text(to_json(event)); };
  CHECK(line({.type = StreamEvent::Type::text, .delta = "He"}) == R"({"event":"text","delta":"He"})");
  CHECK(line({.type = StreamEvent::Type::reasoning, .delta = "hm"}) == R"({"event":"reasoning","delta":"hm"})");
  const ToolCall call{"1", "f", "{}"};
  CHECK(line({.type = StreamEvent::Type::tool_call, .tool_call = &call}) ==
        R"({"event":"tool_call","id":"1","name":"f","arguments":{}})");
  CHECK(line({.type = StreamEvent::Type::restarted, .target = Target::parse("a/b")}) ==
        R"({"event":"restarted","target":"a/b"})");
  const Degradation degradation{{"tools"}, "r", "n"};
  CHECK(line({.type = StreamEvent::Type::degraded, .degradation = &degradation}) ==
        R"({"event":"degraded","features":["tools"],"reason":"r","notice":"n"})");
}

TEST_CASE("the end of a stream and parts of a tool call are no lines") {
  for (const auto type : {StreamEvent::Type::tool_call_delta, StreamEvent::Type::finished, StreamEvent::Type::failed}) {
    CHECK(to_json(StreamEvent{.type = type}).is_null());
  }
}

}  // namespace result_json_test
