#include "backstop/testing/inject_faults.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/testing/faults.hpp"
#include "backstop/testing/scripted_provider.hpp"

namespace backstop::inline v0::testing {
namespace {

struct Row {
  std::string_view name;
  double FaultRates::*rate;
  Step (*step)(const FaultRates& rates, double unit);
};

// The beginning of an answer: one to eight words.
Step some_words(double unit) {
  Step step;
  const int words = 1 + static_cast<int>(unit * 8);
  for (int i = 0; i < words; ++i) step.text("word ");
  return step;
}

using Rates = const FaultRates&;
constexpr std::array<Row, 12> faults{{
    {"connection_refused", &FaultRates::connection_refused, [](Rates, double) { return connection_refused(); }},
    {"connection_reset", &FaultRates::connection_reset, [](Rates, double) { return connection_reset(); }},
    {"rate_limited", &FaultRates::rate_limited, [](Rates rates, double) { return rate_limited(rates.retry_after); }},
    {"overloaded", &FaultRates::overloaded, [](Rates rates, double) { return overloaded(rates.retry_after); }},
    {"server_error", &FaultRates::server_error, [](Rates, double) { return server_error(); }},
    {"quota_exhausted", &FaultRates::quota_exhausted, [](Rates, double) { return quota_exhausted(); }},
    {"bad_key", &FaultRates::bad_key, [](Rates, double) { return bad_key(); }},
    {"empty_answer", &FaultRates::empty_answer, [](Rates, double) { return empty_answer(); }},
    {"silence", &FaultRates::silence, [](Rates, double) { return silence(); }},
    {"pings_only", &FaultRates::pings_only, [](Rates, double) { return pings_only(); }},
    {"cut", &FaultRates::cut, [](Rates, double unit) { return some_words(unit).cut(); }},
    {"garbled", &FaultRates::garbled,
     [](Rates, double unit) {
       Failure failure;
       failure.http_status = 200;
       failure.message = "an event of the stream is no JSON";
       return some_words(unit).fail(ErrorKind::malformed_response, std::move(failure));
     }},
}};

std::string describe(const FaultRates& rates) {
  std::string text;
  for (const Row& row : faults) {
    const double rate = rates.*(row.rate);
    if (rate != 0) text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", row.name, rate);
  }
  return "inject_faults(" + text + ")";
}

void check(const FaultRates& rates) {
  double sum = 0;
  for (const Row& row : faults) {
    const double rate = rates.*(row.rate);
    if (!(rate >= 0 && rate <= 1)) {
      throw std::invalid_argument{
          fmt::format("inject_faults: {} is {}; a probability lies between 0 and 1", row.name, rate)};
    }
    sum += rate;
  }
  if (sum > 1 + 1e-9) {
    throw std::invalid_argument{
        fmt::format("inject_faults: the probabilities add up to {}; one call has one fault, so at most 1", sum)};
  }
  if (rates.latency < Duration::zero() || rates.latency_spread < Duration::zero()) {
    throw std::invalid_argument{"inject_faults: latency and latency_spread must not be below zero"};
  }
}

/// The provider at the end of a stack; null where it is a client, or not of this library's making.
[[nodiscard]] const ModelProvider* innermost(const Provider& stack) {
  const ChatProvider* inside = &stack.get();
  Layer layer = inside->layer();
  for (; layer.around.size() == 1; layer = inside->layer()) inside = layer.around.front();
  return dynamic_cast<const ModelProvider*>(inside);
}

class Injecting final : public Decorator {
 public:
  Injecting(Provider next, FaultRates rates, std::string description)
      : Decorator{std::move(next), std::move(description)}, model_{innermost(this->next())}, rates_{rates} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    Runtime& runtime = context.runtime();
    const double which = runtime.random_unit();
    const double detail = runtime.random_unit();
    const auto spread = static_cast<double>(rates_.latency_spread.count()) * runtime.random_unit();
    const Duration latency = saturating_sum(rates_.latency, Duration{static_cast<Duration::rep>(spread)});
    if (const Row* fault = draw(which)) {
      std::vector<Step> steps{fault->step(rates_, detail).after(latency)};
      const ScriptedProvider faulty = faulty_one(std::move(steps));
      auto failed = co_await faulty.call(request, context);
      co_return failed;
    }
    if (latency > Duration::zero()) {
      Sleep sleep = context.sleep(latency);
      auto slept = co_await sleep;
      if (!slept) {
        slept.error().target = target();
        context.note_skipped(target(), slept.error());
        co_return std::move(slept).error();
      }
    }
    auto result = co_await next().call(request, context);
    co_return result;
  }

 private:
  [[nodiscard]] ScriptedProvider faulty_one(std::vector<Step> steps) const {
    return model_ != nullptr ? ScriptedProvider{*model_, std::move(steps)} : ScriptedProvider{target(), std::move(steps)};
  }
  [[nodiscard]] static Duration saturating_sum(Duration one, Duration other) noexcept {
    return saturating_add(TimePoint{one}, other).time_since_epoch();
  }
  [[nodiscard]] const Row* draw(double which) const noexcept {
    for (const Row& row : faults) {
      which -= rates_.*(row.rate);
      if (which < 0) return &row;
    }
    return nullptr;
  }

  const ModelProvider* model_;  // inside the next one, which lives as long as this
  FaultRates rates_;
};

}  // namespace

Policy inject_faults(FaultRates rates) {
  check(rates);
  return make_policy<Injecting>(describe(rates), rates);
}

}  // namespace backstop::inline v0::testing
