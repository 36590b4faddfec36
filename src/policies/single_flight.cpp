#include "backstop/policies/single_flight.hpp"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "policies/flight.hpp"
#include "policies/options_text.hpp"
#include "policies/request_key.hpp"

namespace backstop::inline v0 {
namespace {

using detail::Flight;
using detail::Flights;
using detail::Passenger;

class SingleFlight final : public Decorator {
 public:
  SingleFlight(Provider next, const SingleFlightOptions& options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        options_{options},
        flights_{std::make_shared<Flights>()},
        targets_{detail::key_of_targets(Decorator::next())} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    if (context.stopping()) co_return context.stop_error();
    // A forced probe is let through by what stands inside because it is one.
    if (context.forced_probe() || (options_.deterministic_only && request.temperature != 0)) {
      auto alone = co_await next().call(request, context);
      co_return alone;
    }
    if (context.state().first_choice == nullptr) context.state().first_choice = &target();
    std::string key = key_of(request, context);
    std::shared_ptr<Flight> flight = flights_->find(key);
    const bool begins = flight == nullptr;
    if (begins) {
      flight = std::make_shared<Flight>(flights_, std::move(key), next(), request, context, options_.max_replay_bytes);
    }
    Passenger passenger{*flight, context};
    if (begins) flight->start();
    for (;;) {
      passenger.catch_up();
      if (context.stopping() || passenger.left_behind() || flight->broken()) break;
      if (flight->ended() && passenger.has_everything()) break;
      if (passenger.can_take_more()) {
        Passenger::News news{passenger};
        co_await news;
      } else {
        ConsumerReady consumer{passenger.context()};
        co_await consumer;
        passenger.catch_up();
        flight->go_on();
      }
    }
    if (!flight->ended() && flight->boarded_only_by(passenger)) {
      flight->close();
      flight->stop();
      while (!flight->ended()) {
        Passenger::Landing landing{passenger};
        co_await landing;
      }
    }
    passenger.settle();
    co_return passenger.outcome();
  }

 private:
  [[nodiscard]] std::string key_of(const ChatRequest& request, const CallContext& context) const {
    std::string key = targets_;
    key += std::to_string(reinterpret_cast<std::uintptr_t>(&context.runtime()));
    key += context.streaming() ? 's' : 'p';
    detail::append_key(key, request, true);
    return key;
  }

  SingleFlightOptions options_;
  std::shared_ptr<Flights> flights_;
  std::string targets_;
};

[[nodiscard]] std::string describe(const SingleFlightOptions& options) {
  detail::OptionsText text{"single_flight"};
  if (options.deterministic_only) text.append("deterministic_only", "true");
  return text.text();
}

}  // namespace

Policy single_flight(SingleFlightOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe(options);
  return make_policy<SingleFlight>(std::move(description), options);
}

std::string problem_with(const SingleFlightOptions& options) {
  if (options.max_replay_bytes == 0) return "single_flight: max_replay_bytes must be above 0";
  return {};
}

}  // namespace backstop::inline v0
