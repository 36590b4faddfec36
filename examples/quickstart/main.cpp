// backstop in a minute: two providers, the first of which fails in every way a provider can, and answers all the same.
//
// Without keys it runs offline, against two local servers that speak the OpenAI and the Anthropic wire and fail on
// request. With OPENAI_API_KEY or ANTHROPIC_API_KEY in the environment it talks to the real ones.

#include <backstop/backstop.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "support/fault_server.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace {

/// Prints an answer as it comes, then what it took: one line per attempt.
bool show(const FallbackClient& client, const ChatRequest& request) {
  ChatStream answer = client.stream(request);
  for (const StreamEvent& event : answer) {
    switch (event.type) {
      case StreamEvent::Type::text:
        fmt::print("{}", event.delta);
        std::fflush(stdout);
        break;
      case StreamEvent::Type::restarted: fmt::print("\n  [{} begins anew]\n  ", event.target); break;
      case StreamEvent::Type::failed: fmt::print("{}", *event.error); break;
      default: break;
    }
  }
  const auto& reply = answer.result();
  const Ledger& attempts = reply ? reply->attempts : reply.error().attempts;
  fmt::print("\n\n  {:<26} {:<20} {:>9} {:>12}\n", "target", "outcome", "time", "cost");
  for (const Attempt& attempt : attempts) {
    const std::string outcome{attempt.outcome ? to_string(*attempt.outcome) : "answered"};
    fmt::print("  {:<26} {:<20} {:>6.1f} ms {:>12}\n", attempt.target, attempt.sent ? outcome : "passed over",
               std::chrono::duration<double, std::milli>(attempt.elapsed).count(), attempt.cost);
  }
  fmt::print("\n");
  return reply.has_value();
}

bool with_real_providers(bool has_openai, bool has_anthropic) {
  const Policy guard = standard();
  std::vector<Provider> providers;
  if (has_openai) providers.push_back(openai({.model = "gpt-5.6-sol"}) | guard);
  if (has_anthropic) providers.push_back(anthropic({.model = "claude-sonnet-5"}) | guard);
  const FallbackClient client{providers, {.mid_stream = MidStream::restart}};
  fmt::print("{}\n\n  ", client.describe());
  return show(client, "In two sentences: why does a pager go off at night?");
}

bool offline() {
  faults::FaultServer primary;    // plays OpenAI, and is having a bad day
  faults::FaultServer secondary;  // plays Anthropic, and is well
  const auto says = [](const char* text) { return faults::Answer{.text = text, .delay_between = 25ms}; };
  primary.always(faults::answer(says("The disk of db-3 is full, so its writes fail and the alert fires.")));
  secondary.always(faults::answer(says("db-3 has run out of disk space; writes fail, and that is what paged you.")));

  const auto new_client = [&] {
    const Policy guard = standard({.timeout = {.first_token = 400ms}});
    return FallbackClient{
        {openai({.model = "gpt-5.6-sol", .api_key = "offline", .base_url = primary.base_url("/v1")}) | guard,
         anthropic({.model = "claude-sonnet-5", .api_key = "offline", .base_url = secondary.base_url()}) | guard},
        {.mid_stream = MidStream::restart}};
  };
  const auto scene = [](std::string_view title) { fmt::print("-- {}\n\n  ", title); };
  const ChatRequest question{"Why did my pager go off?"};
  bool all_answered = true;

  scene("all is well: the first choice answers");
  all_answered &= show(new_client(), question);

  scene("the first choice is overloaded: 503, Retry-After: 30");
  const FallbackClient client = new_client();
  primary.next(faults::status(503, {{"retry-after", "30"}}));
  all_answered &= show(client, question);

  scene("asked again within those 30 seconds: it is left alone");
  all_answered &= show(client, question);

  scene("the first choice accepts the request and says nothing");
  primary.next(faults::silence());
  all_answered &= show(new_client(), question);

  scene("the first choice breaks off in the middle of its answer");
  primary.next(faults::cut_stream(6, says("The disk of db-3 is full, so its writes fail")));
  all_answered &= show(new_client(), question);
  return all_answered;
}

constexpr std::string_view what_is_shown_offline =
    "One question, asked five times. Two servers on this machine play OpenAI and Anthropic; the first one fails in\n"
    "another way each time, and the answer arrives all the same. Below it stand the attempts that it took: which\n"
    "target, what came of it, how long it took and what it cost. With OPENAI_API_KEY or ANTHROPIC_API_KEY in the\n"
    "environment the real ones answer.\n\n";
constexpr std::string_view what_is_shown =
    "One question to the providers whose keys are set, the next one where the first fails. Below the answer stand the\n"
    "attempts that it took: which target, what came of it, how long it took and what it cost.\n\n";

bool has_key(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

int main() {
  const bool has_openai = has_key("OPENAI_API_KEY");
  const bool has_anthropic = has_key("ANTHROPIC_API_KEY");
  const bool is_offline = !has_openai && !has_anthropic;
  fmt::print("{}", is_offline ? what_is_shown_offline : what_is_shown);
  const bool answered = is_offline ? offline() : with_real_providers(has_openai, has_anthropic);
  return answered ? 0 : 1;
}
