#include "backstop/testing/virtual_call.hpp"

#include <utility>

namespace backstop::inline v0::testing {

VirtualCall::VirtualCall(std::shared_ptr<Runtime> runtime, Provider provider, ChatRequest request,
                         const VirtualCallOptions& options)
    : runtime_{std::move(runtime)},
      provider_{std::move(provider)},
      request_{std::move(request)},
      options_{options},
      state_{*runtime_},
      context_{state_, stop_, TimePoint::max()} {
  state_.attempts_left = options.max_attempts;
  context_.set_sink(options.sink);
  context_.set_alternatives({options.alternative_ready});
}

void VirtualCall::begin() {
  state_.started = runtime_->refresh_now();
  if (options_.deadline) {
    context_.set_deadline(saturating_add(state_.started, *options_.deadline));
    if (context_.deadline() <= state_.started) {
      stop_.request_stop(StopReason::deadline);
    } else {
      runtime_->timers().arm(*this, context_.deadline());
    }
  }
  task_ = provider_.call(request_, context_);
  task_.start(*this);
}

void VirtualCall::on_task_done() noexcept {
  disarm();
  Result<ChatResponse> result = task_.take_result();
  ended_at_ = runtime_->now();
  ++completions_;
  if (result) {
    result->elapsed = ended_at_ - state_.started;
    for (const Attempt& attempt : state_.ledger) result->cost += attempt.cost;
    result->attempts = std::move(state_.ledger);
  } else {
    result.error().attempts = std::move(state_.ledger);
  }
  result_.emplace(std::move(result));
}

}  // namespace backstop::inline v0::testing
