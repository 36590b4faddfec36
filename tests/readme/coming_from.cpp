// The page examples/coming-from.md: what other libraries' calls are here.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstop/app/typed.hpp>
#include <backstop/backstop.hpp>

namespace coming_from {

using namespace backstop;
using namespace std::chrono_literals;

void openai_chat() {
  // [from-openai]
  FallbackClient client{openai({.model = "gpt-5.6-sol"}) | timeout(20s) | retry({.max_attempts = 3})};
  Conversation talk{"You are brief."};
  auto reply = client.chat(talk.ask("Why did my pager go off?"));
  if (reply) fmt::print("{}\n", reply->text());
  // [/from-openai]
}

void openai_stream(const FallbackClient& client) {
  // [from-openai-stream]
  for (const StreamEvent& event : client.stream("Why?")) {
    if (event.type == StreamEvent::Type::text) fmt::print("{}", event.delta);
  }
  // [/from-openai-stream]
}

// [from-openai-typed]
struct Recipe { std::string title; std::vector<std::string> steps; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Recipe, title, steps)

std::string title_of_a_soup(const FallbackClient& client) {
  auto reply = chat_as<Recipe>(client, "A quick soup?");
  return reply ? reply->value.title : reply.error().message;
}
// [/from-openai-typed]

void openai_errors(const FallbackClient& client, const ChatRequest& request, void (*later)(Duration), void (*report)(const Error&)) {
  // [from-openai-errors]
  auto reply = client.chat(request);                               // throws nothing that a provider has brought about
  if (!reply && reply.error().kind == ErrorKind::rate_limited) later(reply.error().retry_after.value_or(1s));
  else if (!reply) report(reply.error());
  // [/from-openai-errors]
}

void anthropic_chat() {
  // [from-anthropic]
  FallbackClient client{anthropic({.model = "claude-sonnet-5"}) | retry({.max_attempts = 3})};
  ChatRequest request{{Message::system("You are brief."), Message::user("Why did my pager go off?")}};
  request.max_output_tokens = 1024;                                // may be left out: the model's own limit is sent then
  auto reply = client.chat(request);
  if (reply) fmt::print("{} {}\n", reply->text(), reply->usage.output_tokens.value_or(0));
  // [/from-anthropic]
}

// [from-anthropic-tools]
struct Place { std::string city; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Place, city)

Result<ChatResponse> about_the_weather(const FallbackClient& client) {
  const auto weather = [](const Place& place) { return "12 degrees in " + place.city; };
  const Tools tools{typed_tool("weather", "The weather in a city.", weather)};
  Conversation talk;
  return run(client, talk.ask("Do I need a coat in Oslo?"), tools);
}
// [/from-anthropic-tools]

void litellm_completion() {
  // [from-litellm]
  const Policy guard = standard({.retry = {.max_attempts = 3}});
  FallbackClient client{target("openai/gpt-5.6-sol") | guard, target("anthropic/claude-sonnet-5") | guard,
                        target("groq/llama-3.3-70b-versatile") | guard};
  auto reply = client.chat("Why did my pager go off?");
  if (reply) fmt::print("{}, by {}, for {}\n", reply->text(), reply->served_by, reply->cost);
  // [/from-litellm]
}

void litellm_router(const ChatRequest& request) {
  // [from-litellm-router]
  const Policy guard = standard({.circuit_breaker = {.open_for = 30s}, .retry = {.max_attempts = 3}});
  FallbackClient pool{{azure({.model = "gpt-5-eu", .id = "eu"}, {.resource = "my-eu"}) | guard,
                       azure({.model = "gpt-5-us", .id = "us"}, {.resource = "my-us"}) | guard},
                      {.strategy = lowest_latency()}};
  FallbackClient router{pool, target("anthropic/claude-sonnet-5") | guard};
  auto reply = router.chat(request);
  // [/from-litellm-router]
}

void ai_sdk_text() {
  // [from-ai-sdk]
  FallbackClient client{anthropic({.model = "claude-sonnet-5"}) | retry({.max_attempts = 3})};
  std::stop_source source;                                         // source.request_stop() ends the call, from any thread
  auto reply = client.chat("Why did my pager go off?", {.limits = {.deadline = 20s}, .stop = source.get_token()});
  // [/from-ai-sdk]
}

void ai_sdk_tools(const FallbackClient& client, Conversation& talk, const Tools& tools) {
  // [from-ai-sdk-tools]
  const auto show = [](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::text) fmt::print("{}", event.delta);
  };
  auto reply = run(client, talk.ask("Do I need a coat in Oslo?"), tools, {.call = {.on_event = show}, .max_rounds = 5});
  // [/from-ai-sdk-tools]
}

}  // namespace coming_from
