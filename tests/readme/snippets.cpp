// The code that README.md and the pages of the folders show. Each snippet compiles here; the check compares them letter by
// letter.

#include <chrono>
#include <cstdint>
#include <fstream>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>

#include <nlohmann/json.hpp>

#include <backstop/app/typed.hpp>
#include <backstop/observe/metrics_json.hpp>

// [hello]
#include <backstop/backstop.hpp>
using namespace backstop;
using namespace std::chrono_literals;

int main() {
  auto guard = timeout(20s) | circuit_breaker() | retry({.max_attempts = 2});

  FallbackClient client{
      anthropic({.model = "claude-sonnet-5"}) | guard,   // key from ANTHROPIC_API_KEY unless given
      openai({.model = "gpt-5.6-sol"})        | guard,
      ollama({.model = "llama3.2"})           | timeout(60s)};

  auto reply = client.chat("Why did my pager go off?");
  if (!reply) {
    fmt::print(stderr, "{}\n", reply.error());            // every attempt, why it failed, how long, what it cost
    return 1;
  }
  fmt::print("{}\n(answered by {})\n", reply->text(), reply->served_by);
}
// [/hello]

namespace snippets {

void strategies(const Policy& guard) {
  // [routing]
  FallbackClient pool{{openai({.model = "gpt-5.6-sol"}) | guard, anthropic({.model = "claude-sonnet-5"}) | guard},
                      {.strategy = sticky(lowest_latency())}};   // a session stays where its prompt cache is warm
  FallbackClient agent{{pool, ollama({.model = "llama3.2"})},
                       {.strategy = rules({{is_background(), 1}, {input_above(60'000), 0}})}};
  // [/routing]
  // [cascade]
  FallbackClient cascade{{ollama({.model = "llama3.2"}) | guard | accept_if(matches_schema() && finished(), {.repair = 1}),
                          anthropic({.model = "claude-sonnet-5"}) | guard},
                         {.escalation = Escalation::with_draft}};
  // [/cascade]
  // [degradation]
  FallbackClient graceful{{openai({.model = "gpt-5.6-sol"}) | guard, ollama({.model = "llama3.2"})},
                          {.degrade = {degrade::images(), degrade::json_schema(), degrade::history(),
                                       degrade::canned("Please try again later.")}}};
  // [/degradation]
}

void faces(const FallbackClient& client, const ChatRequest& request) {
  // [faces]
  for (const StreamEvent& event : client.stream(request)) {        // as it comes, on this thread
    if (event.type == StreamEvent::Type::text) fmt::print("{}", event.delta);
  }

  PendingCall pending = client.start(request);                     // in the background
  pending.on_done([](const Result<ChatResponse>&) { /* on the loop's thread */ });
  pending.cancel();                                                // any thread; closes the socket

  std::stop_source source;                                         // what holds for one call, of whichever kind:
  auto reply = client.chat(request, {.limits = {.deadline = 5s},   // its limits, a stop token, what comes meanwhile,
                                     .stop = source.get_token(),   // who may be asked, a policy, an observer
                                     .on_event = [](const StreamEvent& event) { fmt::print("{}", event.delta); },
                                     .targets = {"ollama", "anthropic/claude-sonnet-5"},
                                     .around = cost_cap({.per_request = Money::usd(0.10)})});

  Plan plan = client.explain(request);                             // a dry run: nothing is sent
  for (const Plan::Step& step : plan.steps) fmt::print("{}\n", step.stack);
  // [/faces]
}

void streaming(const FallbackClient& client) {
  // [stream]
  ChatStream stream = client.stream("Tell me about pagers.");
  for (const StreamEvent& event : stream) {                          // as it comes, on this thread
    if (event.type == StreamEvent::Type::text) fmt::print("{}", event.delta);
    if (event.type == StreamEvent::Type::restarted) fmt::print("\n[once more, by another model]\n");
  }
  auto reply = stream.result();                                      // the whole answer, or the error with what came of it
  // [/stream]
}

void server(const ChatRequest& request, void (*send_to_browser)(std::string_view), void (*wait_for)(int, TimePoint)) {
  // [server]
  RuntimeOptions mine;
  mine.background_driver = false;                                    // this program drives
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(mine));
  FallbackClient client{{target("anthropic/claude-sonnet-5") | standard(), target("openai/gpt-5.6-sol") | standard()}, options};

  PendingCall call = client.start(request, {.on_event = [=](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::text) send_to_browser(event.delta);
  }});
  // ... call.cancel() when the browser has gone: it closes the socket to the provider

  // In your loop: wait for this descriptor with your own, until then at most, and let the library do what is due.
  wait_for(options.runtime->poll_fd(), options.runtime->next_due());
  options.runtime->poll();                                           // does not wait
  // [/server]
}

void policy_file() {
  // [policy-file]
  auto client = FallbackClient::from_config(load_config("examples/policies/failover.json"));
  if (!client) fmt::print(stderr, "{}\n", client.error());            // every mistake in the file, each with its place
  // [/policy-file]
}

namespace talk {

// [talk]
struct Place { std::string city; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Place, city)

std::string weather_of(const Place& place) { return "12 degrees in " + place.city; }

Result<ChatResponse> answer(const FallbackClient& client, Conversation& talk, std::stop_token stop) {
  static const Tools tools{typed_tool("weather", "The weather in a city.", weather_of)};   // its schema is that of Place
  talk.trim({.max_tokens = 50'000});                               // whole exchanges; system text and the question stay
  return run(client, talk, tools, {.call = {.limits = {.deadline = 60s}, .stop = stop}, .max_cost = Money::usd(0.25)});
}
// [/talk]

}  // namespace talk

// [typed]
struct Step { std::string what; int minutes = 0; };
struct Recipe { std::string title; std::vector<Step> steps; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Step, what, minutes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Recipe, title, steps)
// [/typed]

void typed_answer(const FallbackClient& client) {
  // [typed-call]
  auto reply = chat_as<Recipe>(client, "A quick soup?");           // the schema goes along, and one repair turn if need be
  if (reply) fmt::print("{}: {} steps\n", reply->value.title, reply->value.steps.size());
  // [/typed-call]
}

Result<BatchProgress> many(const FallbackClient& client, const std::vector<std::string>& prompts) {
  // [batch]
  return batch(client, prompts, {.concurrency = 16, .budget = Money::usd(0.05), .log = "answers.jsonl"},
               [](const BatchResult& one) {                        // as they come; another run does what is missing
                 fmt::print("{}: {}\n", one.index, one.reply ? one.reply->text() : one.reply.error().message);
               });
  // [/batch]
}

// [coroutine]
template <class YourTask>
YourTask answer(const FallbackClient& client, const ChatRequest& request) {
  auto reply = co_await client.chat_async(request);
  co_return reply ? reply->text() : std::string{"nobody answers"};
}
// [/coroutine]

// [provider]
// Anything that answers is a provider: a function, here, that runs on the loop and must be quick ...
Provider canned = make_provider("local/canned", [](const ChatRequest&) { return "Please try again later."; });

// ... or a class, whose send() is one attempt. Counting, timing, pricing and the ledger are seen to.
class Echo final : public ModelProvider {
 public:
  Echo() : ModelProvider{Target{"local", "echo"}} {}

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    auto slept = co_await context.sleep(5ms);   // waits end early when the call is cancelled
    if (!slept) co_return slept.error();
    ChatResponse response;
    response.parts.push_back(Text{text_of(request.messages.back().parts)});
    co_return response;
  }
};
// [/provider]

// [ctrl-c]
/// A token that Ctrl-C stops. A handler of signals may take no lock, and so not request a stop: a thread waits instead.
std::stop_token stopped_by_ctrl_c() {
  static std::stop_source source;
  static sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // first in main: for this thread and all that it starts
  std::thread{[] {
    int signal = 0;
    sigwait(&signals, &signal);
    source.request_stop();
  }}.detach();
  return source.get_token();
}
// [/ctrl-c]

// [kept-budget]
using std::chrono::seconds;
using std::chrono::system_clock;

Budget budget_kept_in(const std::string& path) {                   // shared by whatever cost_cap(budget) stands around
  const Budget budget{{.per_period = Money::usd(50), .period = 30 * 24h}};
  std::ifstream file{path};
  double usd = 0;
  for (std::int64_t since_1970 = 0; file >> since_1970 >> usd;) {
    const Duration ago = system_clock::now() - system_clock::time_point{seconds{since_1970}};
    budget.book(Money::usd(usd), machine_clock().now() - ago);     // what is older than 30 days does not count
  }
  return budget;
}

void keep(const std::string& path, Money cost) {                   // after each call: reply->cost, reply.error().cost
  const auto since_1970 = std::chrono::duration_cast<seconds>(system_clock::now().time_since_epoch());
  std::ofstream{path, std::ios::app} << fmt::format("{} {}\n", since_1970.count(), cost.usd());
}
// [/kept-budget]

void interception() {
  // [intercept]
  Provider tagged = openai({.model = "gpt-5.6-sol"}) | standard() | intercept({
      .before = [](RequestEdit& request) -> Result<void> {         // may change the request, or refuse it
        if (request->messages.size() > 200) return Error{ErrorKind::local_limit, "too long a talk for this target"};
        request.edit().metadata.tags.emplace_back("team", "search");
        return {};
      },
      .after = [](const ChatRequest&, Result<ChatResponse>& result) {   // may replace what came of it
        if (!result) fmt::print(stderr, "{}\n", result.error());
      }});
  // [/intercept]
}

// [policy]
// A policy wraps a provider and calls the next one in; what it may not do is keep state without a lock.
class OfficeHours final : public Decorator {
 public:
  OfficeHours(Provider inner, bool open, std::string description)
      : Decorator{std::move(inner), std::move(description)}, open_{open} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (!open_) co_return Error{ErrorKind::local_limit, "closed for today"};   // not sent: the next target is asked
    auto reply = co_await next().call(request, context);
    co_return reply;
  }

 private:
  bool open_;
};

Policy office_hours(bool open) { return make_policy<OfficeHours>("office_hours", open); }
// [/policy]

void errors(const FallbackClient& client) {
  // [errors]
  auto reply = client.chat("Why did my pager go off?");
  if (!reply) {
    const Error& error = reply.error();
    if (error.kind == ErrorKind::rate_limited && error.retry_after) {
      // ask again after *error.retry_after
    }
    fmt::print(stderr, "{}: {}\n", error.kind, error.message);      // one line; "{}" of the error itself is all of it
    for (const Attempt& attempt : error.attempts) {
      fmt::print(stderr, "{}: {}\n", attempt.target, attempt.reason);
    }
  }
  // [/errors]
}

void metrics() {
  // [observe]
  auto metrics = std::make_shared<Metrics>();
  FallbackClient client{{openai({.model = "gpt-5.6-sol"}) | standard(), anthropic({.model = "claude-sonnet-5"}) | standard()},
                        {.observers = {metrics}}};
  // ... later, from any thread:
  fmt::print("{:.1f} % of calls fell back\n", 100 * metrics->snapshot().fallback_rate());
  std::string page = to_json(metrics->snapshot()).dump();            // <backstop/observe/metrics_json.hpp>
  auto reply = client.chat("Hello?");
  for (const Attempt& attempt : reply ? reply->attempts : reply.error().attempts) {
    fmt::print("{}: {} {}\n", attempt.target, attempt.reason, attempt.cost);   // the ledger: who, why not, what it cost
  }
  // [/observe]
}

void connections() {
  // [connections]
  RuntimeOptions options;
  options.http.proxy = "http://proxy.company:3128";    // "environment" reads http_proxy and the like, which is not done otherwise
  options.http.ca_file = "/etc/ssl/company.pem";
  FallbackClient client{{openai({.model = "gpt-5.6-sol"}) | standard(),
                         openai_compatible({.model = "qwen3", .base_url = "http://llama/v1", .name = "llama",
                                            .http = {.proxy = "none", .unix_socket = "/run/llama.sock"}})},
                        {.runtime = std::make_shared<Runtime>(std::move(options))}};
  // [/connections]
}

}  // namespace snippets
