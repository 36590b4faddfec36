// What README.md tells people to type, and the file that it shows.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
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

/// What stands in the README's code blocks of that language.
std::vector<std::string> blocks(std::string_view language) {
  const std::string readme = content_of("README.md");
  const std::string begin = "```" + std::string{language} + "\n";
  std::vector<std::string> found;
  for (std::size_t at = readme.find(begin); at != std::string::npos; at = readme.find(begin, at + 1)) {
    const std::size_t from = at + begin.size();
    found.push_back(readme.substr(from, readme.find("```", from) - from));
  }
  return found;
}

/// One for each program that is called.
std::vector<std::string> commands() {
  std::vector<std::string> found;
  for (const std::string& block : blocks("sh")) {
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

/// The file of the section on policy files, which stands last.
json readme_policy() {
  const std::vector<std::string> files = blocks("json");
  REQUIRE_FALSE(files.empty());
  return json::parse(files.back());
}

const std::vector<std::string> keys{"OPENAI_API_KEY=sk-hunter2-0123456789", "ANTHROPIC_API_KEY=sk-hunter2-9876543210",
                                    "DEEPSEEK_API_KEY=sk-hunter2-5555555555"};

}  // namespace

TEST_CASE("every command of the README is one that there is") {
  const TemporaryFile policy{readme_policy().dump()};
  const json presets = json::parse(content_of("CMakePresets.json"));
  for (const std::string& command : commands()) {
    CAPTURE(command);
    std::vector<std::string> arguments = words(command);
    while (arguments.front().find('=') != std::string::npos) arguments.erase(arguments.begin());
    const std::string program = arguments.front();
    arguments.erase(arguments.begin());
    if (program == "cmake") {
      REQUIRE(arguments.size() >= 2);
      CHECK(arguments[1] == "cmake/go.cmake");
      const auto has_preset = [&](const json& preset) { return preset["name"] == arguments[2]; };
      CHECK((arguments.size() == 2 || arguments[2] == "test" ||
             std::any_of(presets["workflowPresets"].begin(), presets["workflowPresets"].end(), has_preset)));
    } else if (program == "python3") {
      CHECK(std::filesystem::exists(BACKSTOP_SOURCE_DIR "/" + arguments.front()));
    } else if (program == "backstop-chat") {
      std::replace(arguments.begin(), arguments.end(), std::string{"policy.json"}, policy.path());
      arguments.emplace_back("--explain");  // nothing is sent
      const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, arguments, keys);
      CAPTURE(run.out, run.err);
      CHECK(run.status == 0);
    } else {
      const std::string name = std::filesystem::path{program}.filename();
      CHECK_THAT(content_of("tests/CMakeLists.txt") + content_of("examples/CMakeLists.txt"),
                 ContainsSubstring("backstop_add_program(" + name + " "));
    }
  }
}

TEST_CASE("every policy file of the README is accepted, and all of its targets could be asked") {
  const std::vector<std::string> files = blocks("json");
  CHECK(files.size() == 4);
  for (const std::string& text : files) {
    const TemporaryFile file{text};
    const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", file.path(), "--explain", "--json", "Hello"}, keys);
    CAPTURE(text, run.out, run.err);
    REQUIRE(run.status == 0);
    const json plan = json::parse(run.out);
    CHECK(plan["findings"].empty());
    for (const json& step : plan["steps"]) {
      CAPTURE(step);
      CHECK((step["skipped"].is_null() || step["skipped"]["message"].get<std::string>().find("`when`") != std::string::npos));
    }
  }
}

TEST_CASE("the README's policy file does what the README says") {
  faults::FaultServer server;
  server.next(faults::status(500));
  server.next(faults::status(500));
  json policy = readme_policy();
  json& targets = policy["fallback_policy"]["targets"];
  targets[0] = {{"target", targets[0]}, {"base_url", server.base_url()}};
  targets[1] = {{"target", targets[1]}, {"base_url", server.base_url("/v1")}};
  targets[2]["base_url"] = server.base_url("/v1");
  const TemporaryFile file{policy.dump()};
  const ProgramRun run = run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", file.path(), "--json", "Hello"}, keys);
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
    json policy = readme_policy();
    json& targets = policy["fallback_policy"]["targets"];
    targets = json::array({targets[one]});
    const TemporaryFile file{policy.dump()};
    const ProgramRun run =
        run_program(BACKSTOP_CHAT_PROGRAM, {"--policy", file.path(), "--explain", "--json", "Hello"}, keys);
    CAPTURE(run.out, run.err);
    REQUIRE(run.status == 0);
    const json plan = json::parse(run.out);
    CHECK(plan["findings"].empty());
    REQUIRE(plan["steps"].size() == 1);
    CHECK(plan["steps"][0]["skipped"].is_null());
  }
}

#endif

}  // namespace readme_test
