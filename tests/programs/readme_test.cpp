// What README.md and the pages of the folders tell people to type, and the policy files that they show.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "support/run_program.hpp"
#include "support/fault_server.hpp"

namespace readme_test {

#ifdef BACKSTOP_CHAT_PROGRAM

using namespace backstop;
using Catch::Matchers::ContainsSubstring;
using nlohmann::json;

namespace {

std::string content_of(const std::string& file) {
  std::ifstream stream{BACKSTOP_SOURCE_DIR "/" + file};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

/// README.md and the pages of the folders.
std::vector<std::string> pages() {
  std::vector<std::string> found{"README.md"};
  for (const char* folder : {"examples", "src", "tests"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator{BACKSTOP_SOURCE_DIR "/" + std::string{folder}}) {
      if (entry.path().extension() != ".md") continue;
      found.push_back(entry.path().lexically_relative(BACKSTOP_SOURCE_DIR).generic_string());
    }
  }
  return found;
}

/// What stands in the code blocks of that language.
std::vector<std::string> blocks(const std::string& page, std::string_view language) {
  const std::string text = content_of(page);
  const std::string begin = "\n```" + std::string{language} + "\n";
  std::vector<std::string> found;
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const std::size_t from = at + begin.size();
    found.push_back(text.substr(from, text.find("```", from) - from));
  }
  return found;
}

/// One for each program that is called.
std::vector<std::string> commands(const std::string& page) {
  std::vector<std::string> found;
  for (const std::string& block : blocks(page, "sh")) {
    std::istringstream lines{block};
    for (std::string line; std::getline(lines, line);) {
      if (const std::size_t comment = line.find("  #"); comment != std::string::npos) line.erase(comment);
      for (std::size_t from = 0; from != std::string::npos;) {
        const std::size_t end = line.find(" && ", from);
        found.push_back(line.substr(from, end == std::string::npos ? end : end - from));
        from = end == std::string::npos ? end : end + 4;
      }
    }
  }
  return found;
}

std::vector<std::string> words(const std::string& command) {
  std::vector<std::string> found;
  const std::regex word{R"re("([^"]*)"|(\S+))re"};
  for (std::sregex_iterator at{command.begin(), command.end(), word}, end; at != end; ++at) {
    found.push_back((*at)[1].matched ? (*at)[1].str() : (*at)[2].str());
  }
  return found;
}

constexpr const char* first_policy = "examples/policies/failover.json";

/// Whatever the policy files name. No program sends one anywhere but to 127.0.0.1.
std::vector<std::string> keys() {
  std::vector<std::string> variables{"AWS_BEARER_TOKEN_BEDROCK=key-hunter2-0123456789",
                                     "GOOGLE_OAUTH_ACCESS_TOKEN=key-hunter2-0123456789"};
  for (const char* name : {"OPENAI", "ANTHROPIC", "DEEPSEEK", "GOOGLE", "MISTRAL", "GROQ", "OPENROUTER", "AZURE_OPENAI", "GATEWAY"}) {
    variables.push_back(std::string{name} + "_API_KEY=sk-hunter2-" + name);
  }
  for (const char* name : {"GATEWAY_KEY_1", "GATEWAY_KEY_2"}) variables.push_back(std::string{name} + "=sk-hunter2-" + name);
  return variables;
}

/// The plan by that policy file.
json plan_by(const std::string& file) {
  const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", file, "--explain", "--json", "Hello"}, keys());
  CAPTURE(run.out, run.err);
  REQUIRE(run.status == 0);
  return json::parse(run.out);
}

/// The first policy, with the server in the place of all providers.
json policy_at(const faults::FaultServer& server) {
  json policy = json::parse(content_of(first_policy));
  json& targets = policy["fallback_policy"]["targets"];
  targets[0] = {{"target", targets[0]}, {"base_url", server.base_url()}};
  targets[1] = {{"target", targets[1]}, {"base_url", server.base_url("/v1")}};
  targets[2]["base_url"] = server.base_url("/v1");
  return policy;
}

void run_batch(std::vector<std::string> arguments) {
  const faults::FaultServer server;
  const TemporaryFile policy{policy_at(server).dump()};
  const TemporaryFile prompts{"Why?\nWhat for?\n"};
  const TemporaryFile log{""};
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "--policy") arguments[i + 1] = policy.path();
    if (arguments[i] == "--batch") arguments[i + 1] = prompts.path();
    if (arguments[i] == "--log") arguments[i + 1] = log.path();
  }
  const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, arguments, keys());
  CAPTURE(run.out, run.err);
  CHECK(run.status == 0);
}

void check_command(const std::string& command) {
  std::vector<std::string> arguments = words(command);
  while (arguments.front().find('=') != std::string::npos) arguments.erase(arguments.begin());
  const std::string program = arguments.front();
  arguments.erase(arguments.begin());
  if (program == "cmake" && arguments.front() == "--build") {
    REQUIRE(arguments.size() == 2);
    CHECK_THAT(content_of("CMakePresets.json"),  // its build folder is called after it
               ContainsSubstring("\"" + std::filesystem::path{arguments[1]}.filename().string() + "\""));
  } else if (program == "cmake") {
    const json presets = json::parse(content_of("CMakePresets.json"));
    REQUIRE(arguments.size() >= 2);
    CHECK(arguments[1] == "cmake/go.cmake");
    const auto has_preset = [&](const json& preset) { return preset["name"] == arguments[2]; };
    CHECK((arguments.size() == 2 || arguments[2] == "test" ||
           std::any_of(presets["workflowPresets"].begin(), presets["workflowPresets"].end(), has_preset)));
  } else if (program == "python3") {
    CHECK(std::filesystem::exists(BACKSTOP_SOURCE_DIR "/" + arguments.front()));
  } else if (program == "backstop-chat" && std::find(arguments.begin(), arguments.end(), "--batch") != arguments.end()) {
    run_batch(arguments);
  } else if (program == "backstop-chat") {
    for (std::string& argument : arguments) {
      if (argument.ends_with(".json")) argument = BACKSTOP_SOURCE_DIR "/" + argument;
    }
    arguments.emplace_back("--explain");  // nothing is sent
    const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, arguments, keys());
    CAPTURE(run.out, run.err);
    CHECK(run.status == 0);
  } else {
    const std::string name = std::filesystem::path{program}.filename();
    CHECK_THAT(content_of("tests/CMakeLists.txt") + content_of("examples/CMakeLists.txt"),
               ContainsSubstring("_program(" + name + " "));
  }
}

}  // namespace

TEST_CASE("every command of the pages is one that there is") {
  std::size_t count = 0;
  for (const std::string& page : pages()) {
    for (const std::string& command : commands(page)) {
      CAPTURE(page, command);
      check_command(command);
      ++count;
    }
  }
  CHECK(count >= 10);
}

TEST_CASE("every policy file of the pages is accepted, and all of its targets could be asked") {
  std::list<TemporaryFile> shown;
  for (const std::string& page : pages()) {
    for (const std::string& text : blocks(page, "json")) shown.emplace_back(text);
  }
  CHECK(shown.size() >= 4);
  std::vector<std::string> files;
  for (const TemporaryFile& file : shown) files.push_back(file.path());
  std::string all;
  std::vector<std::string> others;
  for (const auto& entry : std::filesystem::directory_iterator{BACKSTOP_SOURCE_DIR "/examples/policies"}) {
    if (entry.path().extension() != ".json") continue;
    const std::string name = entry.path().filename();
    const std::string text = content_of("examples/policies/" + name);
    all += text;
    const bool is_policy = json::parse(text).contains("fallback_policy");
    (is_policy ? files : others).push_back(is_policy ? entry.path().string() : name);
    if (is_policy) CHECK_THAT(content_of("examples/policies/README.md"), ContainsSubstring("(" + name + ")"));
  }
  for (const std::string& name : others) CHECK_THAT(all, ContainsSubstring("\"" + name + "\""));  // one of them loads it
  for (const std::string& file : files) {
    CAPTURE(file);
    const json plan = plan_by(file);
    CHECK(plan["findings"].empty());
    for (const json& step : plan["steps"]) {
      CAPTURE(step);
      CHECK((step["skipped"].is_null() || step["skipped"]["message"].get<std::string>().find("`when`") != std::string::npos));
    }
  }
}

TEST_CASE("the policy that the README shows stands in the file that its command names") {
  const std::vector<std::string> shown = blocks("README.md", "json");
  const json file = json::parse(content_of(first_policy));
  CHECK(std::any_of(shown.begin(), shown.end(), [&](const std::string& one) { return json::parse(one) == file; }));
  CHECK_THAT(content_of("README.md"), ContainsSubstring("--policy " + std::string{first_policy}));
}

TEST_CASE("the README's policy file does what the README says") {
  faults::FaultServer server;
  server.next(faults::status(500));
  server.next(faults::status(500));
  const TemporaryFile file{policy_at(server).dump()};
  const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", file.path(), "--json", "Hello"}, keys());
  CAPTURE(run.out, run.err);
  REQUIRE(run.status == 0);
  const json answer = json::parse(run.out);
  CHECK(answer["ok"] == true);
  CHECK(answer["attempts"].size() >= 2);
  CHECK(answer["fallback"] == true);
}

TEST_CASE("each target of the README's policy file can be asked under its cap") {
  for (std::size_t one = 0; one < 3; ++one) {
    CAPTURE(one);
    json policy = json::parse(content_of(first_policy));
    json& targets = policy["fallback_policy"]["targets"];
    targets = json::array({targets[one]});
    const TemporaryFile file{policy.dump()};
    const json plan = plan_by(file.path());
    CHECK(plan["findings"].empty());
    REQUIRE(plan["steps"].size() == 1);
    CHECK(plan["steps"][0]["skipped"].is_null());
  }
}

#endif

}  // namespace readme_test
