#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "support/run_program.hpp"
#include "support/fault_server.hpp"

namespace backstop_chat_test {

#ifdef BACKSTOP_CHAT_PROGRAM

using namespace backstop;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

const std::string key = "key-hunter2-openai";
const std::string other_key = "key-hunter2-anthropic";

ProgramRun chat(const std::vector<std::string>& arguments, const std::string& input = {}) {
  ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, arguments,
                               {"OPENAI_API_KEY=" + key, "ANTHROPIC_API_KEY=" + other_key, "GROQ_API_KEY="}, input);
  INFO(run.err);
  CHECK_THAT(run.out, !ContainsSubstring("hunter2"));
  CHECK_THAT(run.err, !ContainsSubstring("hunter2"));
  return run;
}

/// Two servers, the first one OpenAI's, and the options that name them as targets.
struct TwoServers {
  faults::FaultServer first;
  faults::FaultServer second;

  [[nodiscard]] std::vector<std::string> targets() const {
    return {"--target", "openai/gpt-a@" + first.base_url("/v1"), "--target", "anthropic/claude-b@" + second.base_url()};
  }
  [[nodiscard]] std::vector<std::string> with(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = targets();
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  /// A policy with these further keys.
  [[nodiscard]] TemporaryFile policy(const std::string& keys) const {
    return TemporaryFile{R"({"fallback_policy": {"targets": [{"target": "openai/gpt-a", "base_url": ")" +
                         first.base_url("/v1") + R"("}, {"target": "anthropic/claude-b", "base_url": ")" +
                         second.base_url() + R"("}], )" + keys + "}}"};
  }
};

std::vector<std::string> keys_of(const json& object) {
  std::vector<std::string> keys;
  for (const auto& member : object.items()) keys.push_back(member.key());
  return keys;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  return names;
}

void check_every_key(const json& call) {
  CHECK(keys_of(call) == sorted({"ok", "text", "reasoning", "tool_calls", "finish_reason", "usage", "model",
                                 "served_by", "fallback", "degradation", "cost_usd", "elapsed_ms", "attempts",
                                 "error"}));
  for (const json& attempt : call["attempts"]) {
    CHECK(keys_of(attempt) == sorted({"target", "outcome", "http_status", "waited_ms", "ttft_ms", "elapsed_ms",
                                      "cost_usd", "cost_estimated", "rate_limit", "gateway", "chosen_by", "score",
                                       "reason"}));
  }
  if (call["error"].is_null()) return;
  CHECK(keys_of(call["error"]) == sorted({"kind", "message", "target", "http_status", "code", "request_id",
                                          "retry_after_ms", "committed", "partial_text"}));
}

/// The text that a consumer of the printed events has in the end.
std::string text_of_events(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    const json event = json::parse(line);
    if (event.value("event", "") == "text") text += event["delta"].get<std::string>();
    if (event.value("event", "") == "restarted") text.clear();
  }
  return text;
}

}  // namespace

TEST_CASE("backstop-chat: a dead first target is followed by the second, and both stand in the JSON") {
  TwoServers servers;
  servers.first.stop();
  servers.second.always(faults::answer("Well."));
  const ProgramRun run = chat(servers.with({"--json", "Hello"}));
  REQUIRE(run.status == 0);
  REQUIRE(run.lines().size() == 1);
  const json call = json::parse(run.out);
  check_every_key(call);
  CHECK(call["ok"] == true);
  CHECK(call["text"] == "Well.");
  CHECK(call["served_by"] == "anthropic/claude-b");
  CHECK(call["fallback"] == true);
  const json& attempts = call["attempts"];
  CHECK(attempts.front()["target"] == "openai/gpt-a");
  CHECK(attempts.front()["outcome"] == "connect_failed");
  CHECK(attempts.front()["http_status"].is_null());
  CHECK(attempts.back()["outcome"] == "ok");
  CHECK(attempts.back()["http_status"] == 200);
  CHECK(servers.second.requests().front().header("x-api-key") == other_key);
}

TEST_CASE("backstop-chat: a target over Responses is named by that wire, and its reasoning comes out as such") {
  faults::FaultServer server;
  server.always(faults::answer({.text = "Well.", .reasoning = "Let me see."}));
  for (const bool stream : {false, true}) {
    std::vector<std::string> arguments{"--target", "openai_responses/gpt-5.6-sol@" + server.base_url("/v1"), "--json"};
    if (stream) arguments.emplace_back("--stream");
    arguments.emplace_back("Hello");
    const ProgramRun run = chat(arguments);
    REQUIRE(run.status == 0);
    const json call = json::parse(run.lines().back());
    CHECK(call["text"] == "Well.");
    CHECK(call["reasoning"] == "Let me see.");
    CHECK(call["finish_reason"] == "stop");
    CHECK(call["served_by"] == "openai_responses/gpt-5.6-sol");
    CHECK(call["cost_usd"] > 0);
    CHECK(server.requests().back().path == "/v1/responses");
    CHECK(server.requests().back().header("authorization") == "Bearer " + key);
  }
}

TEST_CASE("backstop-chat: without --json the answer is all of standard output") {
  TwoServers servers;
  servers.first.always(faults::unauthorized());
  servers.second.always(faults::answer("Well."));
  const ProgramRun run = chat(servers.with({"Hello"}));
  CHECK(run.status == 0);
  CHECK(run.out == "Well.\n");
  CHECK_THAT(run.err, ContainsSubstring("openai/gpt-a: authentication, HTTP 401"));
  CHECK_THAT(run.err, ContainsSubstring("anthropic/claude-b: ok, HTTP 200"));
  CHECK_THAT(run.err, ContainsSubstring("answered by anthropic/claude-b"));
}

TEST_CASE("backstop-chat: a failed call ends with 1 and says why") {
  TwoServers servers;
  servers.first.always(faults::unauthorized());
  servers.second.always(faults::quota_exhausted());
  const ProgramRun run = chat(servers.with({"--json", "Hello"}));
  CHECK(run.status == 1);
  const json call = json::parse(run.out);
  check_every_key(call);
  CHECK(call["ok"] == false);
  CHECK(call["error"]["kind"] == "quota_exhausted");
  CHECK(call["attempts"].size() == 2);
  CHECK_THAT(run.err, ContainsSubstring("quota_exhausted at anthropic/claude-b"));
  CHECK_THAT(run.err, ContainsSubstring("openai/gpt-a: authentication"));
}

TEST_CASE("backstop-chat: a stream is one line per event, then the whole call") {
  TwoServers servers;
  servers.first.always(faults::overloaded({{"retry-after", "60"}}));
  servers.second.always(faults::answer("one two three"));
  const ProgramRun run = chat(servers.with({"--stream", "--json", "Hello"}));
  REQUIRE(run.status == 0);
  const std::vector<std::string> lines = run.lines();
  REQUIRE(lines.size() > 2);
  CHECK(text_of_events(lines) == "one two three");
  const json call = json::parse(lines.back());
  check_every_key(call);
  CHECK(call["text"] == "one two three");
  CHECK(call["attempts"].front()["outcome"] == "overloaded");

  const ProgramRun plain = chat(servers.with({"--stream", "Hello"}));
  CHECK(plain.status == 0);
  CHECK(plain.out == "one two three\n");
}

TEST_CASE("backstop-chat: a stream that breaks off ends as mid_stream says") {
  TwoServers servers;
  servers.first.always(faults::cut_stream(2, {.text = "never to be finished"}));
  servers.second.always(faults::answer("one two three"));

  const TemporaryFile fail = servers.policy(R"("mid_stream": "fail")");
  const ProgramRun failed = chat({"--policy", fail.path(), "--stream", "--json", "Hello"});
  CHECK(failed.status == 1);
  const json error = json::parse(failed.lines().back())["error"];
  CHECK(error["kind"] == "stream_interrupted");
  CHECK(error["committed"] == true);
  CHECK(error["partial_text"] == "never to");
  CHECK(text_of_events(failed.lines()) == "never to");
  CHECK(servers.second.request_count() == 0);

  const TemporaryFile restart = servers.policy(R"("mid_stream": "restart")");
  const ProgramRun restarted = chat({"--policy", restart.path(), "--stream", "--json", "Hello"});
  CHECK(restarted.status == 0);
  CHECK(text_of_events(restarted.lines()) == "one two three");
  CHECK_THAT(restarted.out, ContainsSubstring(R"("event":"restarted")"));
  CHECK(json::parse(restarted.lines().back())["text"] == "one two three");
}

TEST_CASE("backstop-chat: max_retries 0 is exactly one request per target") {
  TwoServers servers;
  servers.first.always(faults::status(500));
  servers.second.always(faults::status(500));
  const TemporaryFile policy = servers.policy(R"("max_retries": 0)");
  CHECK(chat({"--policy", policy.path(), "--json", "Hello"}).status == 1);
  CHECK(servers.first.request_count() == 1);
  CHECK(servers.second.request_count() == 1);
}

TEST_CASE("backstop-chat: a policy that is not enabled asks the first target alone") {
  TwoServers servers;
  servers.first.always(faults::unauthorized());
  const TemporaryFile policy = servers.policy(R"("enabled": false)");
  CHECK(chat({"--policy", policy.path(), "Hello"}).status == 1);
  CHECK(servers.second.request_count() == 0);
}

TEST_CASE("backstop-chat: repeated calls share their breakers") {
  TwoServers servers;
  servers.first.always(faults::status(500));
  const TemporaryFile policy =
      servers.policy(R"("max_retries": 0, "circuit_breaker": {"consecutive_failures": 2})");
  const ProgramRun run =
      chat({"--policy", policy.path(), "--json", "--repeat", "4", "--interval", "1ms", "Hello"});
  CHECK(run.status == 0);
  REQUIRE(run.lines().size() == 4);
  CHECK(servers.first.request_count() == 2);
  const json last = json::parse(run.lines().back());
  CHECK(last["attempts"].front()["outcome"] == "circuit_open");
  CHECK(last["attempts"].front()["http_status"].is_null());

  const ProgramRun many = chat({"--policy", policy.path(), "--stream", "--json", "--repeat", "12", "--concurrency",
                                "4", "Hi"});
  CHECK(many.status == 0);
  int calls = 0;
  for (const std::string& line : many.lines()) calls += json::parse(line).contains("ok") ? 1 : 0;
  CHECK(calls == 12);
}

TEST_CASE("backstop-chat: a request comes from a file or from standard input") {
  TwoServers servers;
  const std::string request = R"({"messages": [{"role": "system", "content": "Be brief."},
      {"role": "user", "content": "Hello"}], "max_output_tokens": 7})";
  const TemporaryFile file{request};
  CHECK(chat(servers.with({"--request", file.path()})).status == 0);
  CHECK(chat(servers.with({"--request", "-"}), request).status == 0);
  REQUIRE(servers.first.request_count() == 2);
  const json sent = json::parse(servers.first.requests().back().body);
  CHECK(sent["messages"].size() == 2);
  CHECK(sent["max_completion_tokens"] == 7);
}

TEST_CASE("backstop-chat: --explain sends nothing") {
  TwoServers servers;
  const ProgramRun table = chat(servers.with({"--explain", "Hello"}));
  CHECK(table.status == 0);
  CHECK_THAT(table.out, ContainsSubstring("openai/gpt-a") && ContainsSubstring("retry"));
  const ProgramRun run = chat(servers.with({"--explain", "--json", "Hello"}));
  CHECK(run.status == 0);
  const json plan = json::parse(run.out);
  REQUIRE(plan["steps"].size() == 2);
  CHECK(plan["steps"][0]["target"] == "openai/gpt-a");
  CHECK(plan["steps"][0]["skipped"].is_null());
  CHECK(plan["max_attempts"] == 5);
  CHECK(plan["findings"] == json::array());
  CHECK(servers.first.request_count() + servers.second.request_count() == 0);
}

TEST_CASE("backstop-chat: --explain names what is odd about the policy") {
  TwoServers servers;
  const TemporaryFile policy = servers.policy(R"("timeout": {"first_byte": "20s", "first_token": "10s"})");
  const ProgramRun table = chat({"--policy", policy.path(), "--explain", "Hello"});
  CHECK(table.status == 0);
  CHECK_THAT(table.out, ContainsSubstring("\nodd: openai/gpt-a: timeout: first_byte is 20s, and first_token 10s: "));
  const json plan = json::parse(chat({"--policy", policy.path(), "--explain", "--json", "Hello"}).out);
  REQUIRE(plan["findings"].size() == 2);
  CHECK(plan["findings"][1]["target"] == "anthropic/claude-b");
  for (const char* field : {"what", "why", "instead"}) CHECK_FALSE(plan["findings"][1][field].get<std::string>().empty());
}

TEST_CASE("backstop-chat: bad usage and bad policies end with 2 before anything is sent") {
  TwoServers servers;
  const TemporaryFile broken{"{\n"};
  const TemporaryFile unknown = servers.policy(R"("colour": "red")");
  const TemporaryFile bad_request{R"({"messages": [{"role": "robot", "content": "x"}]})"};
  const TemporaryFile no_messages{R"({"messages": []})"};
  struct Case {
    std::vector<std::string> arguments;
    std::string complaint;
  };
  const std::vector<Case> cases{
      {{}, "--policy or --target is needed"},
      {{"Hello"}, "--policy or --target is needed"},
      {servers.targets(), "--request or a prompt is needed"},
      {servers.with({"--policy", broken.path(), "Hello"}), "--policy and --target exclude each other"},
      {servers.with({"--request", bad_request.path(), "Hello"}), "--request and a prompt exclude each other"},
      {servers.with({"Hello", "again"}), "the prompt is given twice"},
      {servers.with({"--loud", "Hello"}), "--loud is not known"},
      {servers.with({"Hello", "--repeat"}), "--repeat needs a value"},
      {servers.with({"--repeat", "0", "Hello"}), "--repeat is \"0\""},
      {servers.with({"--interval", "5", "Hello"}), "--interval is \"5\""},
      {{"--target", "gpt-a", "Hello"}, "--target is \"gpt-a\""},
      {{"--target", "nobody/gpt-a", "Hello"}, "give its `base_url`"},
      {{"--policy", broken.path(), "Hello"}, "line 2"},
      {{"--policy", unknown.path(), "Hello"}, "`fallback_policy.colour` is not known"},
      {{"--policy", "/nonexistent/policy.json", "Hello"}, "cannot be read"},
      {servers.with({"--request", bad_request.path()}), "`messages[0].role`"},
      {servers.with({"--request", no_messages.path()}), "`messages`"},
      {servers.with({"--request", broken.path()}), "broken JSON"},
      {servers.with({"--request", "/nonexistent/request.json"}), "cannot be read"},
      {{"--target", "groq/llama", "Hello"}, "the environment variable GROQ_API_KEY"},
  };
  for (const Case& bad : cases) {
    CAPTURE(bad.complaint);
    const ProgramRun run = chat(bad.arguments);
    CHECK(run.status == 2);
    CHECK(run.out.empty());
    CHECK_THAT(run.err, ContainsSubstring(bad.complaint));
  }
  CHECK(servers.first.request_count() + servers.second.request_count() == 0);
}

TEST_CASE("backstop-chat: a key that a provider echoes is not printed") {
  TwoServers servers;
  servers.first.always(faults::status(
      401, {}, R"({"error": {"message": "Wrong API key: )" + key + R"(.", "code": "invalid_api_key"}})"));
  servers.second.stop();
  CHECK(chat(servers.with({"--json", "Hello"})).status == 1);
  CHECK(chat(servers.with({"--stream", "Hello"})).status == 1);
}

TEST_CASE("backstop-chat: a server of an unknown name needs an address and no key") {
  faults::FaultServer server;
  const ProgramRun run = chat({"--target", "local/org/model@2@" + server.base_url("/v1"), "Hello"});
  CHECK(run.status == 0);
  CHECK(json::parse(server.requests().front().body)["model"] == "org/model@2");
}

#endif

}  // namespace backstop_chat_test
