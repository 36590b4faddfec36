#include "backstop/testing/virtual_call.hpp"

#include <utility>

#include "backstop/policy.hpp"
#include "call/root_call.hpp"

namespace backstop::inline v0::testing {
namespace {

/// Stands in for the fallback client, which tells the policies below about the other targets.
class AlternativeReady final : public Decorator {
 public:
  explicit AlternativeReady(Provider next) : Decorator{std::move(next), "alternative_ready"} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    CallContext inner = context;
    RoutingHint hint = context.hint();
    hint.other_ready = true;
    inner.set_hint(hint);
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
      root_{std::make_unique<detail::RootCall>(*runtime_, CallLimits{options.deadline, options.max_attempts, {}},
                                               nullptr)} {}

VirtualCall::~VirtualCall() = default;

bool VirtualCall::done() const noexcept { return root_->ended(); }

Result<ChatResponse>& VirtualCall::result() noexcept { return root_->result(); }

void VirtualCall::cancel() noexcept { root_->stop(StopReason::cancelled); }

void VirtualCall::begin() {
  started_at_ = runtime_->refresh_now();
  root_->start(provider_.get(), request_, sink_, [this] {
    ended_at_ = runtime_->now();
    ++completions_;
    runtime_->open(gate_);
  });
}

}  // namespace backstop::inline v0::testing
