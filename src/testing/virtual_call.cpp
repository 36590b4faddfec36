#include "backstop/testing/virtual_call.hpp"

#include <utility>

#include "backstop/policy.hpp"

namespace backstop::inline v0::testing {
namespace {

/// Stands in for the fallback client, which tells the policies below about the other targets.
class AlternativeReady final : public Decorator {
 public:
  explicit AlternativeReady(Provider next) : Decorator{std::move(next), "alternative_ready"} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    CallContext inner = context;
    inner.set_alternatives(Alternatives{.ready = true});
    auto result = co_await next().call(request, inner);
    co_return result;
  }
};

}  // namespace

VirtualCall::VirtualCall(std::shared_ptr<Runtime> runtime, const Provider& provider, ChatRequest request,
                         const VirtualCallOptions& options)
    : runtime_{std::move(runtime)},
      provider_{options.alternative_ready ? Provider{AlternativeReady{provider}} : provider},
      request_{std::move(request)},
      sink_{options.sink},
      root_{*runtime_, CallLimits{options.deadline, options.max_attempts}, nullptr} {}

void VirtualCall::begin() {
  started_at_ = runtime_->refresh_now();
  root_.start(provider_.get(), request_, sink_, [this] {
    ended_at_ = runtime_->now();
    ++completions_;
    runtime_->open(gate_);
  });
}

}  // namespace backstop::inline v0::testing
