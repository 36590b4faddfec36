#include "backstop/policies/single_flight.hpp"

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "handover/own_parameters.hpp"
#include "policies/follower.hpp"
#include "policies/one_target.hpp"
#include "policies/options_text.hpp"
#include "policies/request_key.hpp"
#include "process/process_number.hpp"

namespace backstop::inline v0 {
namespace {

using detail::Flight;
using detail::Flights;
using detail::Follower;

class SingleFlight final : public Decorator {
 public:
  SingleFlight(Provider next, const SingleFlightOptions& options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{options},
        flights_{std::make_shared<Flights>()},
        one_target_{detail::sends_to_one_target(Decorator::next().get())} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.stopping()) co_return context.stop_error();
    // A forced probe is let through by what stands inside because it is one.
    if (context.hint().forced_probe || (options_.deterministic_only && temperature_of(request) != 0)) {
      auto alone = co_await next().call(request, context);
      co_return alone;
    }
    if (context.state().first_choice == nullptr) context.state().first_choice = &target();
    std::string key = key_of(request, context);
    std::shared_ptr<Flight> flight = flights_->find(key);
    if (flight && flight->is_running()) {  // asked in a callback of its own: it cannot go on before this call has ended
      auto alone = co_await next().call(request, context);
      co_return alone;
    }
    const bool begins = flight == nullptr;
    if (begins) {
      flight = std::make_shared<Flight>(flights_, std::move(key), next(), request, context, options_.max_replay_bytes);
    }
    Follower follower{*flight, context};
    if (begins) flight->start();
    for (;;) {
      follower.catch_up();
      if (!flight->ended()) flight->go_on();  // it may have waited for this reader
      if (context.stopping() || follower.left_behind() || flight->broken() || follower.refused()) break;
      if (flight->ended() && follower.has_everything()) break;
      if (follower.can_take_more()) {
        Follower::News news{follower};
        co_await news;
      } else {
        ConsumerReady consumer{follower.context()};
        co_await consumer;
      }
    }
    if (!flight->ended() && !flight->is_running() &&
        (flight->followed_only_by(follower) || !flight->hand_over(follower))) {
      flight->close();
      flight->stop(follower.stop_reason());
      while (!flight->ended()) {
        Follower::Completion completion{follower};
        co_await completion;
      }
      follower.catch_up();
    }
    follower.settle();
    auto outcome = follower.outcome();
    if (!outcome && context.streaming()) context.sink()->on_attempt_failed();
    co_return outcome;
  }

  /// What has no room for another send has room for a call that shares one.
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (standing.ready() || !standing.fit() || !is_under_way(request)) return standing;
    standing.verdict = Standing::Verdict::ready;
    standing.finds_out = false;
    return standing;
  }

  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    layer.shares = true;
    return layer;
  }

 private:
  /// That it is answered at; of several targets each may have its own, and the request's counts.
  [[nodiscard]] std::optional<double> temperature_of(const ChatRequest& request) const noexcept {
    return one_target_ ? detail::temperature_of(target(), request) : request.temperature;
  }

  /// Perhaps a stream where no stream is asked for, or on another runtime: then the call finds out itself.
  [[nodiscard]] bool is_under_way(const ChatRequest& request) const noexcept {
    if (options_.deterministic_only && temperature_of(request) != 0) return false;
    try {
      std::string key;
      detail::append_key(key, request, true);
      return flights_->any_of(key);
    } catch (const std::bad_alloc&) {
      return false;
    }
  }

  [[nodiscard]] std::string key_of(const ChatRequest& request, const CallContext& context) const {
    std::string key;
    detail::append_key(key, request, true);
    // Of one runtime and one process. Who answers is no part of it: the flights are this policy's own.
    key += std::to_string(reinterpret_cast<std::uintptr_t>(&context.runtime()));
    key += '/';
    key += std::to_string(detail::process_number());
    key += context.streaming() ? 's' : 'p';
    return key;
  }

  SingleFlightOptions options_;
  std::shared_ptr<Flights> flights_;
  bool one_target_;
};

[[nodiscard]] std::string describe_single_flight(const SingleFlightOptions& options) {
  detail::OptionsText text{"single_flight"};
  if (options.deterministic_only) text.append("deterministic_only", "true");
  return text.text();
}

}  // namespace

Policy single_flight(SingleFlightOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe_single_flight(options);
  return make_policy<SingleFlight>(std::move(description), options);
}

std::string problem_with(const SingleFlightOptions& options) {
  if (options.max_replay_bytes == 0) return "single_flight: max_replay_bytes must be above 0";
  return {};
}

}  // namespace backstop::inline v0
