#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "backstop/app/tools.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/intercept.hpp"
#include "real_targets.hpp"

namespace real_tools_test {

using namespace backstop;
using namespace backstop::real_model;

namespace {

/// Refuses the sends of these numbers, counted from 1.
Policy refusing(std::set<int> numbers, int& sends) {
  InterceptOptions options;
  options.before = [numbers = std::move(numbers), &sends](RequestEdit&) -> Result<void> {
    if (numbers.contains(++sends)) return Error{ErrorKind::overloaded, "refused by the test"};
    return {};
  };
  return intercept(std::move(options));
}

struct Loop {
  std::vector<ToolCall> calls;

  Result<ChatResponse> run_with(const FallbackClient& client, Conversation& talk, int rounds, CallOptions call = {}) {
    Tools tools;
    tools.add({.name = "add",
               .description = "Adds two integers",
               .parameters = R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
                                 "required":["a","b"]})"},
              [this](const ToolCall& made, const std::stop_token&) {
                calls.push_back(made);
                return Result<std::string>{"7"};
              });
    RunOptions options{.call = std::move(call), .max_rounds = rounds};
    options.settings.temperature = 0.0;
    options.settings.max_output_tokens = 80;
    return run(client, talk, tools, options);
  }
};

}  // namespace

TEST_CASE("rounds with tools of a real model fail over in the third, from one wire to the other and back") {
  need_real_model();
  const RealModelServer server = RealModelServer::start({.context = 2048, .tools = true});
  int sends = 0;
  FallbackOptions options;
  options.recovery.max_wait = std::chrono::seconds{0};
  const FallbackClient client{{target_on(server, Wire::openai, "one") | refusing({3}, sends),
                               target_on(server, Wire::anthropic, "two")},
                              options};
  Conversation talk;
  Loop loop;
  std::vector<std::string> served;
  for (int question = 0; question < 3; ++question) {  // each is a call and an answer, as a rule
    talk.ask("Add 3 and 4.");
    const auto reply = loop.run_with(client, talk, 6);
    need(reply);
    for (const Attempt& row : reply->attempts) {
      if (row.sent && !row.outcome) served.push_back(std::string{row.target.provider()});
    }
  }
  REQUIRE(served.size() >= 3);
  for (std::size_t round = 0; round < served.size(); ++round) {
    CAPTURE(round);
    CHECK(served[round] == (round == 2 ? "two" : "one"));
  }
  CHECK_FALSE(loop.calls.empty());
  std::set<std::string> ids;
  for (const ToolCall& call : loop.calls) ids.insert(call.id);
  CHECK(ids.size() == loop.calls.size());
}

}  // namespace real_tools_test
