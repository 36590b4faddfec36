#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "support/replayed_call.hpp"
#include "support/run_program.hpp"

namespace sdk_requests_test {

using namespace backstop;
using namespace backstop::testing_support;

/// Requests of every kind, from conversations that other targets began, checked by the types of the providers' own
/// libraries (`support/sdk_requests.py`). Bedrock's are checked by botocore (bedrock_encode_test).
namespace {

using Json = nlohmann::json;
using Random = std::mt19937_64;

std::size_t pick(Random& random, std::size_t count) { return random() % count; }
bool chance(Random& random, std::size_t one_in) { return pick(random, one_in) == 0; }

struct Asked {
  std::string_view wire;  ///< as the script calls it
  Provider provider;
};

std::vector<Asked> asked_targets() {
  const auto options = [](const char* model) {
    return ModelOptions{.model = model, .api_key = "test-key", .base_url = "http://replayed.test/v1"};
  };
  return {{"chat", openai(options("gpt-4o"))},
          {"chat", openai(options("gpt-5.6-sol"))},
          {"chat", openai(options("o3"))},
          {"responses", openai_responses(options("gpt-5.6-sol"))},
          {"responses", openai_responses(options("gpt-4o"))},
          {"messages", anthropic(options("claude-sonnet-4-5"))},
          {"messages", anthropic(options("claude-opus-4-8"))},
          {"messages", anthropic(options("claude-3-5-haiku-20241022"))},
          {"gemini", gemini(options("gemini-3.5-flash"))},
          {"gemini", gemini(options("gemini-2.5-pro"))},
          {"ollama", ollama_native(options("gpt-oss:20b"))},
          {"mistral", *known_provider("mistral", options("mistral-medium-2604"))}};
}

constexpr std::string_view schemas[] = {
    R"({"type":"object","properties":{}})",
    R"({"type":"object","properties":{"city":{"type":"string","minLength":1}},"required":["city"]})",
    R"({"type":"object","properties":{"a":{"anyOf":[{"type":"integer","minimum":0},{"type":"null"}]},
        "b":{"type":"array","items":{"enum":["x","y"]},"maxItems":3}},"additionalProperties":false})",
    R"({"type":"object","properties":{"node":{"$ref":"#/$defs/node"}},"$defs":{"node":{"type":"object",
        "properties":{"name":{"type":"string","format":"date-time","default":"now"}}}}})",
    R"({"$schema":"https://json-schema.org/draft/2020-12/schema","title":"T","type":"object","properties":{
        "c":{"const":"x"},"d":{"oneOf":[{"type":"string","pattern":"^a"},{"type":"number"}]}}})"};

std::string any_schema(Random& random) { return std::string{schemas[pick(random, std::size(schemas))]}; }

/// The ids of calls as different providers write them.
std::string any_id(Random& random, std::size_t number) {
  const std::string digits = std::to_string(number);
  switch (pick(random, 5)) {
    case 0: return "call_" + digits;
    case 1: return "functions.get:" + digits;
    case 2: return "toolu_01" + std::string(20, 'x') + digits;
    case 3: return std::string(70, 'i') + digits;
    default: return "call|" + digits + "\nfc_" + digits;
  }
}

Message any_answer(Random& random, const std::vector<Asked>& targets, std::vector<std::string>& open_calls) {
  Message message{Role::assistant, {}};
  const Target& origin = targets[pick(random, targets.size())].provider.target();
  if (chance(random, 2)) {
    const bool redacted = origin.provider() == "anthropic" && chance(random, 3);
    const std::string proof = origin.provider() == "openai" ? "rs_1 c2ln" : "c2ln";  // with the id of Responses' item
    message.parts.emplace_back(redacted ? Reasoning{.redacted = "c2VjcmV0", .origin = origin}
                                        : Reasoning{.text = "Hm.", .signature = proof, .origin = origin});
  }
  if (!chance(random, 4)) message.parts.emplace_back(Text{chance(random, 6) ? "" : "I look."});
  for (std::size_t calls = chance(random, 2) ? 1 + pick(random, 2) : 0; calls > 0; --calls) {
    constexpr std::string_view arguments[] = {R"({"city":"Rome"})", "{}", "", "null", R"({"a":)", "[1]"};
    open_calls.push_back(any_id(random, random() % 1000));
    message.parts.emplace_back(
        ToolCall{open_calls.back(), chance(random, 5) ? "server.get weather" : "get",
                 std::string{arguments[pick(random, std::size(arguments))]}});
  }
  if (message.parts.empty()) message.parts.emplace_back(Text{"So."});
  return message;
}

Message any_question(Random& random) {
  Message message{Role::user, {Text{"Where?"}}};
  if (chance(random, 5)) message.parts.emplace_back(Image{.data = "aGVsbG8=", .media_type = "image/png"});
  if (chance(random, 8)) message.parts.emplace_back(Image{.url = "https://a.test/b.png", .detail = "low"});
  if (chance(random, 8)) {
    message.parts.emplace_back(Document{.data = "aGVsbG8=", .media_type = "application/pdf", .name = "a b.pdf"});
  }
  return message;
}

ChatRequest any_request(Random& random, const std::vector<Asked>& targets) {
  ChatRequest request;
  if (chance(random, 2)) request.messages.push_back(Message::system("Be brief."));
  request.messages.push_back(any_question(random));
  for (std::size_t turns = pick(random, 4); turns > 0; --turns) {
    std::vector<std::string> open_calls;
    request.messages.push_back(any_answer(random, targets, open_calls));
    for (const std::string& id : open_calls) {
      if (chance(random, 6)) continue;  // a call that nobody answered
      const ToolResult result{id, chance(random, 6) ? "" : "sun", chance(random, 5)};
      request.messages.push_back(Message{Role::tool, {result}});
    }
    if (chance(random, 6)) request.messages.push_back(Message::system("And friendly."));
    request.messages.push_back(any_question(random));
  }
  for (std::size_t tools = pick(random, 3); tools > 0; --tools) {
    Tool tool{.name = tools == 1 ? "get" : "put", .description = chance(random, 2) ? "Gets it." : ""};
    if (!chance(random, 4)) tool.parameters = any_schema(random);
    if (chance(random, 3)) tool.strict = chance(random, 2);
    request.tools.push_back(std::move(tool));
  }
  if (!request.tools.empty() && chance(random, 2)) {
    constexpr ToolChoice::Mode modes[] = {ToolChoice::Mode::automatic, ToolChoice::Mode::none,
                                          ToolChoice::Mode::required, ToolChoice::Mode::named};
    request.tool_choice = ToolChoice{modes[pick(random, 4)], request.tools.front().name};
  }
  if (chance(random, 4)) request.parallel_tool_calls = chance(random, 2);
  if (chance(random, 3)) {
    const bool object = chance(random, 3);
    request.response_format = object ? ResponseFormat{.type = ResponseFormat::Type::json_object}
                                     : ResponseFormat{.type = ResponseFormat::Type::json_schema,
                                                      .name = "answer",
                                                      .schema = any_schema(random),
                                                      .description = chance(random, 2) ? "What to say." : ""};
    if (chance(random, 2)) request.response_format->strict = chance(random, 2);
  }
  if (chance(random, 2)) request.max_output_tokens = static_cast<std::int64_t>(1 + pick(random, 5000));
  if (chance(random, 3)) request.temperature = 0.5;
  if (chance(random, 4)) request.top_p = 0.9;
  if (chance(random, 4)) request.stop = {"END", "STOP"};
  constexpr std::string_view efforts[] = {"", "", "none", "minimal", "low", "medium", "high"};
  request.reasoning_effort = efforts[pick(random, std::size(efforts))];
  if (chance(random, 3)) request.metadata.user_id = "user-1";
  if (chance(random, 3)) request.metadata.session_id = "session-1";
  if (chance(random, 4)) request.metadata.tags = {{"team", "search"}};
  return request;
}

/// What the libraries object to in these files, a line each, and `checked N`.
std::string objections(const std::vector<std::string>& files) {
  std::vector<std::string> arguments{BACKSTOP_SOURCE_DIR "/tests/support/sdk_requests.py", BACKSTOP_SDK_MODELS_DIR};
  arguments.insert(arguments.end(), files.begin(), files.end());
  const ProgramRun run = run_program("python3", arguments, {"PYTHONDONTWRITEBYTECODE=1"});
  if (run.status == 77) {
    SKIP("the providers' Python libraries are needed in " BACKSTOP_SDK_MODELS_DIR " (cmake/go/python_packages.cmake): "
         << run.err);
  }
  INFO(run.err);
  CHECK(run.status == 0);
  return run.out;
}

std::string all_well(std::size_t count) { return "checked " + std::to_string(count) + "\n"; }

}  // namespace

TEST_CASE("the types of the providers' own libraries take every request to them") {
  const std::vector<Asked> targets = asked_targets();
  ReplayedAnswer answer;
  answer.status = 400;
  std::string lines;
  std::size_t count = 0;
  Random random{7};
  for (int round = 0; round < 60; ++round) {
    const ChatRequest request = any_request(random, targets);
    for (const Asked& to : targets) {
      // What a target cannot do is refused before anything is sent.
      const ReplayedCall call = call_with(to.provider, request, answer, chance(random, 2));
      if (call.requests.empty()) continue;
      lines += Json{{"wire", to.wire}, {"body", Json::parse(call.requests.front().body)}}.dump() + "\n";
      ++count;
    }
  }
  CHECK(count > 500);
  const TemporaryFile file{lines};
  const std::string said = objections({file.path()});
  CHECK(said == all_well(count));
}

TEST_CASE("a key that a provider does not have, and a value of another type, are objected to on every wire") {
  const auto said_of = [](std::string_view wire, std::string_view body) {
    const TemporaryFile file{Json{{"wire", wire}, {"body", Json::parse(body)}}.dump() + "\n"};
    return objections({file.path()});
  };
  struct Row {
    std::string_view wire;
    std::string body;
    std::string what;
  };
  const std::string turn = R"("messages":[{"role":"user","content":"Hi"}])";
  for (const Row& row : {Row{"chat", R"({"model":"m",)" + turn + R"(,"bogus":1})", "bogus"},
                         Row{"responses", R"({"model":"m","input":"Hi","bogus":1})", "bogus"},
                         Row{"messages", R"({"model":"m","max_tokens":9,)" + turn + R"(,"bogus":1})", "bogus"},
                         Row{"messages", R"({"model":"m","max_tokens":"many",)" + turn + "}", "max_tokens"},
                         Row{"gemini", R"({"contents":[{"role":"user","parts":[{"text":"Hi","bogus":1}]}]})", "bogus"},
                         Row{"ollama", R"({"model":"m",)" + turn + R"(,"bogus":1})", "bogus"},
                         Row{"mistral", R"({"model":"m",)" + turn + R"(,"bogus":1})", "bogus"}}) {
    CAPTURE(row.wire, row.body);
    const std::string said = said_of(row.wire, row.body);
    CHECK(said.find(row.what) != std::string::npos);
  }
}

TEST_CASE("the same types take what the libraries and other clients of theirs were seen to send") {
  const std::filesystem::path folder =
      std::filesystem::path{BACKSTOP_FIXTURES_DIR}.parent_path().parent_path() / "fixtures-clients";
  std::vector<std::string> files;
  for (const char* client : {"openai-sdk", "anthropic-sdk", "google-genai", "mistral-sdk", "ollama-sdk", "opencode",
                             "aider", "qwen-code", "gemini-cli"}) {
    files.push_back((folder / client).string() + ".json");
    if (!std::filesystem::exists(files.back())) SKIP("there is no " << files.back());
  }
  const std::string said = objections(files);
  CHECK(said == all_well(47));
}

}  // namespace sdk_requests_test
