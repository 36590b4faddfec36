#include "recordings.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include <catch2/catch_test_macros.hpp>
#include <fmt/core.h>

#include "backstop/json.hpp"

namespace backstop::testing_support {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string file_text(const fs::path& path) {
  std::ifstream file{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

Recording read_recording(const fs::path& folder, std::string name) {
  Recording recording;
  recording.name = std::move(name);
  recording.meta = Json::parse(file_text(folder / "meta.json"));
  recording.expect = Json::parse(file_text(folder / "expect.json"));
  recording.provider = recording.meta.at("provider");
  recording.stream = recording.meta.at("stream");
  recording.answer.status = recording.meta.at("http_status");
  recording.answer.body = file_text(folder / "response.body");
  recording.answer.cut = recording.meta.value("truncated", false);
  for (const auto& [key, value] : recording.meta.at("response_headers").items()) {
    recording.answer.headers.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return recording;
}

std::string string_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

/// Collects lines about what is not as it should be.
class Report {
 public:
  template <class A, class B>
  void same(std::string_view what, const A& is, const B& should) {
    if (is == should) return;
    lines_ << what << ": is <" << is << ">, should be <" << should << ">\n";
  }
  void holds(std::string_view what, bool condition) {
    if (!condition) lines_ << what << '\n';
  }
  [[nodiscard]] std::string text() const { return lines_.str(); }

 private:
  std::ostringstream lines_;
};

std::string shown(const std::optional<std::int64_t>& count) { return count ? std::to_string(*count) : "null"; }

void compare_usage(Report& report, const Usage& is, const Usage& should) {
  report.same("input tokens", shown(is.input_tokens), shown(should.input_tokens));
  report.same("output tokens", shown(is.output_tokens), shown(should.output_tokens));
  report.same("cached tokens", shown(is.cached_input_tokens), shown(should.cached_input_tokens));
  report.same("cache writes", shown(is.cache_write_tokens), shown(should.cache_write_tokens));
  report.same("reasoning tokens", shown(is.reasoning_tokens), shown(should.reasoning_tokens));
}

Json expected_arguments(const Json& call) {
  if (call.contains("input")) {  // of a custom tool: a text of any form
    const std::string input = string_in(call, "input");
    const Json read = Json::parse(input, nullptr, false);
    return read.is_object() ? read : Json{{"rawInvalidInput", input}};
  }
  const Json arguments = call.value("arguments", Json{});
  if (!arguments.is_null()) return arguments;
  const std::string raw = call.value("arguments_raw", std::string{});
  if (raw.empty() || raw == "null") return Json::object();
  return Json{{"rawInvalidInput", raw}};
}

void compare_calls(Report& report, const std::vector<ToolCall>& is, const Json& should) {
  report.same("number of tool calls", is.size(), should.size());
  std::set<std::string> ids;
  for (std::size_t i = 0; i < std::min(is.size(), should.size()); ++i) {
    const std::string id = string_in(should[i], "id");
    report.same("name of a tool call", is[i].name, string_in(should[i], "name"));
    report.same("arguments", Json::parse(is[i].arguments, nullptr, false), expected_arguments(should[i]));
    report.holds("a tool call without an id", !is[i].id.empty());
    report.holds("an id that occurs twice", ids.insert(is[i].id).second);
    if (!id.empty() && ids.count(id) != 0) report.same("id of a tool call", is[i].id, id);
  }
}

struct Expected {
  std::string text;
  std::string reasoning;
  Json calls = Json::array();
  std::string finish;  ///< ours
  bool failure = false;
  std::string kind;    ///< of the failure, where it is certain
};

Expected expectation(const Recording& recording, const RecordingRules& rules) {
  const Json& expect = recording.expect;
  Expected expected;
  expected.text = string_in(expect, "text") + string_in(expect, "refusal");
  expected.reasoning = string_in(expect, "reasoning_text") + string_in(expect, "tool_plan");
  expected.calls = expect.value("tool_calls", Json::array());
  expected.finish = rules.finish_of(recording);
  if (!string_in(expect, "refusal").empty()) expected.finish = "content_filter";
  if (expected.finish == "stop" && !expected.calls.empty()) expected.finish = "tool_calls";
  expected.failure = !expect.at("ok");
  const bool delivered = recording.stream && !(expected.text.empty() && expected.reasoning.empty());
  if (expected.failure) {
    if (delivered || recording.answer.cut) expected.kind = "stream_interrupted";
    return expected;
  }
  if (expected.text.empty() && expected.calls.empty()) {
    const bool may_be_empty =
        expected.finish == "length" || expected.finish == "context_full" || expected.finish == "paused";
    if (expected.finish == "content_filter" || expect.contains("block_reason")) {
      expected.kind = "content_filtered";
    } else if (expected.reasoning.empty() && !may_be_empty) {
      expected.kind = "malformed_response";
    }
  }
  if (rules.means_failure && rules.means_failure(string_in(expect, "finish_reason"))) expected.kind = "malformed_response";
  expected.failure = !expected.kind.empty();
  if (expected.failure && delivered) expected.kind = "stream_interrupted";
  return expected;
}

void compare_answer(Report& report, const Recording& recording, const ChatResponse& is, const Expected& expected,
                    const RecordingRules& rules) {
  report.same("text", is.text(), expected.text);
  report.same("reasoning", is.reasoning(), expected.reasoning);
  compare_calls(report, is.tool_calls(), expected.calls);
  report.same("finish reason", is.finish_reason ? to_string(*is.finish_reason) : "", expected.finish);
  const std::string model = string_in(recording.expect, "model");
  report.same("model", is.model, model.empty() ? recording.model() : model);
  if (const std::string id = string_in(recording.expect, "response_id"); !id.empty()) report.same("id", is.id, id);
  compare_usage(report, is.usage, rules.usage_of(recording));
}

std::string expected_code(const Json& error) {
  for (const char* key : {"code", "type", "status"}) {
    if (std::string code = string_in(error, key); !code.empty()) return code;
  }
  return {};
}

void compare_failure(Report& report, const Recording& recording, const Error& is, const Expected& expected) {
  report.same("HTTP status", is.http_status, recording.answer.status);
  if (!expected.kind.empty()) report.same("kind", to_string(is.kind), expected.kind);
  if (recording.stream) report.same("partial text", is.partial_text, expected.text);
  const bool nothing_came = expected.text.empty() && expected.reasoning.empty() && expected.calls.empty();
  report.same("committed", is.committed, recording.stream && !nothing_came);
  const auto error = recording.expect.find("error");
  if (error == recording.expect.end() || error->is_null()) return;
  report.same("code", is.code, expected_code(*error));
  for (const char* key : {"message", "message_raw_prefix"}) {
    const std::string words = string_in(*error, key);
    const std::string& said = is.provider_message.empty() ? is.message : is.provider_message;
    report.holds(fmt::format("the message <{}> lacks <{}>", said, words),
                 said.find(words.substr(0, words.find('\n'))) != std::string::npos);
  }
}

// What the consumer of a stream was given is what the answer says.
void compare_events(Report& report, const ReplayedCall& call) {
  std::string text;
  std::string reasoning;
  std::vector<ToolCall> calls;
  for (const testing::RecordedEvent& event : call.events) {
    if (event.type == StreamEvent::Type::text) text += event.delta;
    if (event.type == StreamEvent::Type::reasoning) reasoning += event.delta;
    if (event.type == StreamEvent::Type::tool_call) calls.push_back(*event.tool_call);
  }
  if (!call.result) {
    report.same("streamed text of a failure", text, call.result.error().partial_text);
    return;
  }
  report.same("streamed text", text, call.result->text());
  report.same("streamed reasoning", reasoning, call.result->reasoning());
  report.holds("streamed tool calls differ from the answer's", calls == call.result->tool_calls());
}

void require_as_expected(const Recording& recording, const Provider& provider, const RecordingRules& rules,
                         std::string_view how, std::vector<std::size_t> splits) {
  ReplayedAnswer answer = recording.answer;
  answer.splits = std::move(splits);
  const ReplayedCall call = call_with(provider, "What is the capital of France?", answer, recording.stream);
  const std::string problems = differences(recording, call, rules);
  if (problems.empty()) return;
  FAIL_CHECK(fmt::format("{} ({}):\n{}", recording.name, how, problems));
}

}  // namespace

Usage Recording::raw_usage() const {
  Usage usage;
  const auto found = expect.find("usage");
  if (found == expect.end() || !found->is_object()) return usage;
  const auto raw = [&](const char* key) -> std::optional<std::int64_t> {
    if (!found->contains(key)) return std::nullopt;
    return found->at(key).get<std::int64_t>();
  };
  usage.input_tokens = raw("input_tokens");
  usage.output_tokens = raw("output_tokens");
  usage.cached_input_tokens = raw("cached_input_tokens");
  usage.cache_write_tokens = raw("cache_write_tokens");
  usage.reasoning_tokens = raw("reasoning_tokens");
  return usage;
}

Usage Recording::usage_with_cache() const {
  Usage usage = raw_usage();
  if (usage.input_tokens) {
    *usage.input_tokens += usage.cached_input_tokens.value_or(0) + usage.cache_write_tokens.value_or(0);
  }
  return usage;
}

std::string Recording::finish_by(std::span<const std::pair<std::string_view, std::string_view>> table) const {
  const auto reason = expect.find("finish_reason");
  if (reason == expect.end() || reason->is_null()) return {};
  const std::string word = reason->is_string() ? reason->get<std::string>() : reason->dump();
  for (const auto& [wire, ours] : table) {
    if (word == wire) return std::string{ours};
  }
  return "other";
}

ModelOptions Recording::options() const {
  ModelOptions options;
  options.model = model();
  options.api_key = "test-key";
  options.base_url = "http://replayed.test";
  return options;
}

std::string Recording::model() const {
  const auto request = meta.find("request");
  if (request != meta.end() && request->is_object() && request->value("body", Json{}).is_object()) {
    if (std::string asked = string_in(request->at("body"), "model"); !asked.empty()) return asked;
  }
  const std::string reported = string_in(expect, "model");
  return reported.empty() ? "some-model" : reported;
}

std::vector<Recording> recordings(std::string_view api, std::string_view provider) {
  std::vector<Recording> found;
  const fs::path root{BACKSTOP_FIXTURES_DIR};
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator{root, missing}) {
    const std::string name = entry.path().filename().string();
    if (!provider.empty() && name != provider) continue;
    for (const auto& each : fs::directory_iterator{entry.path() / api, missing}) {
      found.push_back(read_recording(each.path(), fmt::format("{}/{}/{}", name, api, each.path().filename().string())));
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

std::string differences(const Recording& recording, const ReplayedCall& call, const RecordingRules& rules) {
  Report report;
  const Expected expected = expectation(recording, rules);
  if (call.result.has_value() == expected.failure) {
    report.holds(call.result ? "answered, and should have failed"
                             : "failed, and should have answered: " + to_string(call.result.error()),
                 false);
  } else if (call.result) {
    compare_answer(report, recording, *call.result, expected, rules);
  } else {
    compare_failure(report, recording, call.result.error(), expected);
  }
  if (recording.stream) compare_events(report, call);
  report.holds("something was left behind", call.left_nothing);
  return report.text();
}

void check_recording(const Recording& recording, const Provider& provider, const RecordingRules& rules) {
  require_as_expected(recording, provider, rules, "in one piece", {});
  const std::size_t size = recording.answer.body.size();
  if (size < 2) return;
  std::mt19937_64 random{size};
  for (int round = 0; round < 3; ++round) {
    std::set<std::size_t> splits;
    const std::size_t count = std::max<std::size_t>(size / 200, 3);
    while (splits.size() < std::min(count, size - 1)) splits.insert(1 + random() % (size - 1));
    require_as_expected(recording, provider, rules, fmt::format("random splits, round {}", round),
                        {splits.begin(), splits.end()});
  }
  if (size > 8'000) return;
  std::vector<std::size_t> every(size - 1);
  std::iota(every.begin(), every.end(), std::size_t{1});
  require_as_expected(recording, provider, rules, "a byte at a time", std::move(every));
}

}  // namespace backstop::testing_support
