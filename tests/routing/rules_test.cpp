#include "backstop/routing/rules.hpp"

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>

#include "routing/pool.hpp"

namespace rules_test {

using namespace backstop;
using namespace backstop::testing;

namespace {

ChatRequest tagged(std::string name, std::string value) {
  ChatRequest request{"hello"};
  request.metadata.tags.emplace_back(std::move(name), std::move(value));
  return request;
}

ChatRequest thinking(std::string effort = "high") {
  ChatRequest request{"hello"};
  request.reasoning_effort = std::move(effort);
  return request;
}

ChatRequest of_tokens(std::size_t tokens) { return ChatRequest{std::string(4 * tokens, 'x')}; }

ChatRequest with_image(bool in_the_past = false) {
  ChatRequest request{"look"};
  request.messages.front().parts.emplace_back(Image{.url = "https://example.org/a.png"});
  if (in_the_past) {
    request.messages.push_back(Message::assistant("a cat"));
    request.messages.push_back(Message::user("and what does it want?"));
  }
  return request;
}

ChatRequest with_tool(std::string name) {
  ChatRequest request{"hello"};
  request.tools.push_back(Tool{.name = std::move(name)});
  return request;
}

bool holds(const Condition& condition, const ChatRequest& request) { return condition.holds(request, needs_of(request)); }

std::vector<Provider> targets(std::initializer_list<std::string_view> names) {
  std::vector<Provider> providers;
  for (const std::string_view name : names) providers.push_back(ScriptedProvider{"x/" + std::string{name}});
  return providers;
}

}  // namespace

TEST_CASE("conditions look at the request and its metadata") {
  CHECK(holds(input_above(100), of_tokens(200)));
  CHECK_FALSE(holds(input_above(100), of_tokens(50)));
  CHECK(holds(uses_tools(), with_tool("search")));
  CHECK_FALSE(holds(uses_tools(), "hello"));
  CHECK(holds(offers_tool("search"), with_tool("search")));
  CHECK_FALSE(holds(offers_tool("search"), with_tool("search_web")));
  CHECK(holds(offers_tool("search*"), with_tool("search_web")));
  CHECK(holds(has_images(), with_image()));
  CHECK_FALSE(holds(has_images(), "hello"));
  ChatRequest document{"read"};
  document.messages.front().parts.emplace_back(Document{.url = "https://example.org/a.pdf"});
  CHECK(holds(has_documents(), document));
  CHECK(holds(wants_reasoning(), thinking()));
  CHECK_FALSE(holds(wants_reasoning(), thinking("minimal")));
  CHECK(holds(reasoning_effort("minimal"), thinking("minimal")));
  CHECK_FALSE(holds(reasoning_effort("high"), thinking("low")));
  CHECK(holds(has_tag("team"), tagged("team", "search")));
  CHECK(holds(has_tag("team", "search"), tagged("team", "search")));
  CHECK_FALSE(holds(has_tag("team", "ads"), tagged("team", "search")));
  ChatRequest request{"hello"};
  request.metadata.user_id = "u1";
  request.headers.emplace_back("X-Tier", "gold");
  CHECK(holds(user_is("u1"), request));
  CHECK_FALSE(holds(user_is("u2"), request));
  CHECK(holds(has_header("x-tier"), request));
  CHECK(holds(has_header("x-tier", "gold"), request));
  CHECK_FALSE(holds(has_header("x-tier", "Gold"), request));
  CHECK(holds(is_background(), tagged("scenario", "background")));
  CHECK_FALSE(holds(is_background(), "hello"));
}

TEST_CASE("conditions are combined, and what throws does not hold") {
  const Condition yes = when("yes", [](const ChatRequest&) { return true; });
  const Condition no = !yes;
  const Condition throws = when("throws", [](const ChatRequest&) -> bool { throw std::runtime_error{"no"}; });
  CHECK(holds(yes && yes, "hello"));
  CHECK_FALSE(holds(yes && no, "hello"));
  CHECK(holds(no || yes, "hello"));
  CHECK_FALSE(holds(no || no, "hello"));
  CHECK_FALSE(holds(throws, "hello"));
  CHECK((yes && (no || yes)).describe() == "(yes and (not yes or yes))");
  CHECK_THROWS_AS(when("empty", nullptr), std::invalid_argument);
}

TEST_CASE("the first rule that holds says who is asked, and those that no rule names come before the rest") {
  VirtualRuntime world;
  const FallbackClient client =
      pool_of(world, rules({{is_background(), 0}, {wants_reasoning(), 1}, {input_above(1000), 2}}),
              targets({"background", "thinker", "long", "usual"}));
  CHECK(plan_of(client) == "usual background thinker long");
  CHECK(plan_of(client, tagged("scenario", "background")) == "background usual thinker long");
  CHECK(plan_of(client, thinking()) == "thinker usual background long");
  ChatRequest both = of_tokens(2000);
  both.reasoning_effort = "high";
  CHECK(plan_of(client, both) == "thinker long usual background");
  const auto reply = client.chat(both);
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "thinker");
  CHECK_FALSE(reply->fallback);
}

TEST_CASE("a branch that fails is followed by the candidates that no rule names") {
  VirtualRuntime world;
  const FallbackClient client =
      pool_of(world, rules({{wants_reasoning(), 0}}),
              {ScriptedProvider{"x/thinker", {error(ErrorKind::overloaded)}}, ScriptedProvider{"x/usual"}});
  const auto reply = client.chat(thinking());
  REQUIRE(reply);
  CHECK(reply->served_by.model() == "usual");
  CHECK(reply->fallback);
}

TEST_CASE("a branch is one of the candidates") {
  VirtualRuntime world;
  CHECK_THROWS_AS(pool_of(world, rules({{has_images(), 2}}), targets({"a", "b"})), std::invalid_argument);
  CHECK_THROWS_AS(pool_of(world, agent_scenarios({.usual = 5, .think = 0}), targets({"a", "b"})), std::invalid_argument);
  CHECK_THROWS_AS(rules({}), std::invalid_argument);
  CHECK_THROWS_AS(agent_scenarios({.usual = 1}), std::invalid_argument);
  CHECK_THROWS_AS(agent_scenarios({.think = 1, .long_context_above = 0}), std::invalid_argument);
}

TEST_CASE("what coding agents send goes where it belongs") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(
      world,
      agent_scenarios({.usual = 1, .long_context = 0, .background = 2, .web_search = 3, .think = 4, .image = 5}),
      targets({"long", "usual", "background", "search", "think", "image"}));
  CHECK(answered_by(client) == "usual");
  CHECK(answered_by(client, of_tokens(60'000)) == "usual");
  CHECK(answered_by(client, of_tokens(60'001)) == "long");
  CHECK(answered_by(client, tagged("scenario", "background")) == "background");
  CHECK(answered_by(client, with_tool("web_search_20250305")) == "search");
  CHECK(answered_by(client, with_tool("read_file")) == "usual");
  CHECK(answered_by(client, thinking()) == "think");
  CHECK(answered_by(client, with_image()) == "image");
  CHECK(answered_by(client, with_image(true)) == "usual");
  CHECK(answered_by(client, tagged("scenario", "think")) == "think");
  CHECK(answered_by(client, tagged("scenario", "unheard of")) == "usual");
  ChatRequest long_thought = of_tokens(70'000);
  long_thought.reasoning_effort = "high";
  CHECK(plan_of(client, long_thought) == "long think usual background search image");
}

TEST_CASE("the threshold of long contexts is the application's, and what fits none goes where it usually does") {
  VirtualRuntime world;
  const FallbackClient client =
      pool_of(world, agent_scenarios({.usual = 0, .long_context = 1, .long_context_above = 500}), targets({"a", "b"}));
  CHECK(answered_by(client, of_tokens(501)) == "b");
  CHECK(answered_by(client, of_tokens(400)) == "a");
  CHECK(answered_by(client, thinking()) == "a");
}

TEST_CASE("a scenario that is not set is not looked for, whatever the request says of it") {
  VirtualRuntime world;
  const FallbackClient client = pool_of(world, agent_scenarios({.usual = 0, .think = 1}), targets({"usual", "think"}));
  ChatRequest request = tagged("scenario", "background");
  CHECK(answered_by(client, request) == "usual");
  request.reasoning_effort = "high";
  CHECK(answered_by(client, request) == "think");
}

}  // namespace rules_test
