// A simulated day of outages, lived through three times: without policies, with the retries that everybody writes first,
// and with backstop's standard stack. Virtual time and a seed: a day takes seconds, and the same seed gives the same day.

#include <backstop/backstop.hpp>
#include <backstop/testing/event_log.hpp>
#include <backstop/testing/virtual_runtime.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "day.hpp"
#include "simulated_model.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace {

struct Options {
  std::uint64_t seed = 1;
  int hours = 24;
  bool show_day = false;
  Day::Kind kind = Day::Kind::apart;
};

/// What the users of a day saw.
struct Tally {
  int calls = 0;
  int answered = 0;
  std::size_t sends = 0;
  Money cost;
  std::vector<Duration> times;  // of the answers
  Duration failing{0};          // what calls without an answer took, together

  [[nodiscard]] Duration percentile(double share) const {
    if (times.empty()) return Duration{0};
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  }
};

/// How an application may be built on the day's two providers.
struct Setup {
  std::string_view name;
  FallbackClient (*make)(const Provider& first, const Provider& second, FallbackOptions options);
};

FallbackClient without_policies(const Provider& first, const Provider&, FallbackOptions options) {
  options.recovery.max_wait = 0s;
  return FallbackClient{{first}, std::move(options)};
}

// Up to four tries a second apart, whatever the failure and whatever the server asks for; then the other provider.
FallbackClient with_naive_retries(const Provider& first, const Provider& second, FallbackOptions options) {
  RetryOptions again{.max_attempts = 4, .max_attempts_with_fallback = 4};
  again.initial = again.max = again.throttle_initial = again.throttle_max = 1s;
  again.min_attempt_time = 0s;
  again.budget.reset();
  again.should_retry = [](const RetryQuestion&) { return true; };
  const Policy deaf = intercept({.after = [](const ChatRequest&, Result<ChatResponse>& result) {
    if (!result) result.error().retry_after.reset();
  }});
  const Policy naive = timeout(30s) | deaf | retry(std::move(again));
  options.limits.max_attempts = 8;
  options.recovery.max_wait = 0s;
  return FallbackClient{{first | naive, second | naive}, std::move(options)};
}

FallbackClient with_standard(const Provider& first, const Provider& second, FallbackOptions options) {
  options.mid_stream = MidStream::restart;
  const Policy guard = standard({.timeout = {.first_token = 10s}});
  return FallbackClient{{first | guard, second | guard}, std::move(options)};
}

FallbackClient with_standard_at_once(const Provider& first, const Provider& second, FallbackOptions options) {
  options.recovery.max_wait = 0s;
  return with_standard(first, second, std::move(options));
}

FallbackClient with_lowest_latency(const Provider& first, const Provider& second, FallbackOptions options) {
  options.strategy = lowest_latency();
  return with_standard(first, second, std::move(options));
}

constexpr Setup setups[] = {{"one provider, no policies", without_policies},
                            {"two providers, naive retries", with_naive_retries},
                            {"two providers, standard(), no waiting", with_standard_at_once},
                            {"two providers, standard()", with_standard}};
constexpr Setup strategies[] = {{"standard(), ordered", with_standard}, {"standard(), lowest_latency", with_lowest_latency}};

/// A call of the day, and the reader of its stream.
struct User {
  explicit User(Runtime& runtime) : log{runtime} {}

  testing::EventLog log;
  std::shared_ptr<testing::VirtualCall> call;
};

void count(User& user, Tally& tally) {
  Result<ChatResponse>& result = user.call->result();
  ++tally.calls;
  const Ledger& attempts = result ? result->attempts : result.error().attempts;
  for (const Attempt& attempt : attempts) {
    tally.sends += attempt.sent ? 1 : 0;
    tally.cost += attempt.cost;
  }
  if (!result) {
    tally.failing += user.call->ended_at() - user.call->started_at();
    return;
  }
  ++tally.answered;
  tally.times.push_back(user.call->ended_at() - user.call->started_at());
}

Tally live_through(const std::shared_ptr<const Day>& day, const Setup& setup, const Options& options) {
  testing::VirtualRuntime runtime{options.seed};
  const TimePoint midnight = runtime.clock().now();
  FallbackOptions client_options;
  client_options.runtime = runtime.share();
  client_options.limits.deadline = 60s;
  const FallbackClient client = setup.make(SimulatedModel{"first", 0, day, midnight},
                                           SimulatedModel{"second", 1, day, midnight}, std::move(client_options));
  std::mt19937_64 arrivals{options.seed};
  std::vector<std::unique_ptr<User>> users;
  Tally tally;
  const auto count_ended = [&] {
    std::erase_if(users, [&](const std::unique_ptr<User>& user) {
      if (!user->call->done()) return false;
      count(*user, tally);
      return true;
    });
  };
  for (const TimePoint end = midnight + std::chrono::hours{options.hours}; runtime.clock().now() < end;) {
    users.push_back(std::make_unique<User>(runtime.runtime()));
    testing::VirtualCallOptions call;
    call.deadline = client.options().limits.deadline;
    call.max_attempts = client.options().limits.max_attempts;
    call.sink = &users.back()->log;
    users.back()->call = runtime.start(client, "Why did my pager go off?", call);
    runtime.run_for(std::chrono::milliseconds{arrivals() % 8000});  // a call every four seconds or so
    count_ended();
  }
  runtime.run_for(2min);
  count_ended();
  std::sort(tally.times.begin(), tally.times.end());
  return tally;
}

void print(const Day& day) {
  for (const Incident& incident : day.incidents()) {
    fmt::print("{} from {:%H:%M} to {:%H:%M}: {}\n", incident.provider == 0 ? "first " : "second",
               std::chrono::floor<std::chrono::seconds>(incident.begin),
               std::chrono::floor<std::chrono::seconds>(incident.end), incident.weather->name);
  }
  fmt::print("\n");
}

bool read_number(std::string_view text, auto& out) {
  return std::from_chars(text.data(), text.data() + text.size(), out).ptr == text.data() + text.size() && out > 0;
}

bool read(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    options.show_day = options.show_day || name == "--show-day";
    if (name == "--together") options.kind = Day::Kind::together;
    if (name == "--slow") options.kind = Day::Kind::slow;
    if (name == "--show-day" || name == "--together" || name == "--slow") continue;
    const std::string_view value = i + 1 < count ? arguments[++i] : "";
    if (name == "--seed" && read_number(value, options.seed)) continue;
    if (name == "--hours" && read_number(value, options.hours) && options.hours <= 24) continue;
    return false;
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (!read(count, arguments, options)) {
    fmt::print(stderr, "usage: backstop-outage [--seed N] [--hours 1..24] [--together | --slow] [--show-day]\n");
    return 2;
  }
  const auto day = std::make_shared<const Day>(options.seed, 2, std::chrono::hours{options.hours}, options.kind);
  if (options.show_day) print(*day);
  fmt::print("| | availability | p50 | p99 | sends per call | cost per 1000 answers | a failed call takes |\n"
             "|---|---|---|---|---|---|---|\n");
  const std::span<const Setup> compared =
      options.kind == Day::Kind::slow ? std::span<const Setup>{strategies} : std::span<const Setup>{setups};
  for (const Setup& setup : compared) {
    const Tally tally = live_through(day, setup, options);
    const double calls = tally.calls;
    fmt::print("| {} | {:.2f} % | {:.1f} s | {:.1f} s | {:.2f} | {} | {:.1f} s |\n", setup.name, 100 * tally.answered / calls,
               std::chrono::duration<double>{tally.percentile(0.5)}.count(),
               std::chrono::duration<double>{tally.percentile(0.99)}.count(), static_cast<double>(tally.sends) / calls,
               fmt::format("${:.2f}", tally.cost.usd() * 1000 / std::max(tally.answered, 1)),
               std::chrono::duration<double>{tally.failing}.count() / std::max(tally.calls - tally.answered, 1));
  }
  return 0;
}
