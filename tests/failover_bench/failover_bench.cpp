#include "failover_bench.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include <catch2/catch_test_macros.hpp>

#include "backstop/policies/standard.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"

namespace backstop::failover_bench {
namespace {

using namespace std::chrono_literals;

bool full_waits() {
  const char* choice = std::getenv("BACKSTOP_FAILOVER_BENCH");
  return choice != nullptr && std::string_view{choice} == "full";
}

FallbackClient make_client(const faults::FaultServer& primary, const faults::FaultServer& fallback,
                           std::shared_ptr<Metrics> metrics, MidStream mid_stream) {
  StandardOptions options;
  options.timeout.first_byte = scaled(20s);
  options.timeout.first_token = scaled(5s);
  options.timeout.idle = scaled(10s);
  options.timeout.attempt = scaled(80s);
  options.circuit_breaker.open_for = scaled(5s);
  options.circuit_breaker.open_for_max = scaled(8s);

  FallbackOptions fallback_options;
  fallback_options.mid_stream = mid_stream;
  fallback_options.observers = {std::move(metrics)};
  return FallbackClient{{openai({.model = "gpt-4o",
                                 .api_key = "key",
                                 .base_url = primary.base_url("/v1"),
                                 .name = "primary",
                                 .context_window = 8192}) |
                             standard(options),
                         anthropic({.model = "claude-sonnet-5",
                                    .api_key = "key",
                                    .base_url = fallback.base_url(),
                                    .name = "fallback",
                                    .context_window = 200'000}) |
                             standard(options)},
                        fallback_options};
}

}  // namespace

Duration scaled(Duration span) {
  static const int divisor = full_waits() ? 1 : 20;
  return span / divisor;
}

std::chrono::milliseconds scaled_ms(Duration span) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(scaled(span));
}

std::string story(std::string_view who) {
  std::string text;
  for (int word = 1; word <= 60; ++word) text += fmt::format("{}{}-{}", word == 1 ? "" : " ", who, word);
  return text;
}

int Reply::sends(std::string_view target, Duration within) const {
  int count = 0;
  Duration at{0};
  for (const Attempt& attempt : ledger()) {
    if (!attempt.sent) continue;
    at += attempt.waited;
    if ((target.empty() || attempt.target.name() == target) && at <= within) ++count;
    at += attempt.elapsed;
  }
  return count;
}

Bench::Bench(MidStream mid_stream) : client_{make_client(primary, fallback, metrics, mid_stream)} {
  primary.always(faults::answer({.text = story("primary")}));
  fallback.always(
      faults::answer({.text = story("fallback"), .usage = {.input = 77}, .model = "claude-of-the-fallback"}));
}

Reply Bench::ask() const {
  const auto start = std::chrono::steady_clock::now();
  std::string screen;
  ChatStream stream = client_.stream("Tell me a story of sixty words.");
  for (const StreamEvent& event : stream) {
    if (event.type == StreamEvent::Type::restarted) screen.clear();
    if (event.type == StreamEvent::Type::text) screen += event.delta;
  }
  const Result<ChatResponse> result = stream.result();
  return {result, screen, std::chrono::steady_clock::now() - start};
}

const Reply& Scenario::note(const Reply& reply) {
  if (!reply.result) UNSCOPED_INFO(to_string(reply.result.error().kind) << ": " << reply.result.error().message << ' ' << reply.result.error().provider_message);
  for (const Attempt& attempt : reply.ledger()) {
    UNSCOPED_INFO(attempt.target.name() << ": " << (attempt.outcome ? to_string(*attempt.outcome) : "ok") << ", waited "
                                        << attempt.waited.count() / 1'000'000 << " ms, took "
                                        << attempt.elapsed.count() / 1'000'000 << " ms: " << quoted_reason_of(attempt));
  }
  ++requests_;
  attempts_ += reply.sends();
  elapsed_ += reply.elapsed;
  return reply;
}

void Scenario::check(bool holds, std::string_view what, int& count) {
  INFO(what);
  CHECK(holds);
  if (!holds) ++count;
}

Scenario::~Scenario() {
  const std::string_view verdict = failed_ > 0 ? "FAIL" : missed_ > 0 ? "partial" : "pass";
  fmt::print("{} {}: {} request{}, {} attempts, {:.2f} s{}\n", id_, verdict, requests_, requests_ == 1 ? "" : "s",
             attempts_, std::chrono::duration<double>{elapsed_}.count(), full_waits() ? "" : " (waits shortened)");
}

}  // namespace backstop::failover_bench
