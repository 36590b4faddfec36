#include "backstop/testing/virtual_runtime.hpp"

#include <algorithm>
#include <utility>

namespace backstop::inline v0::testing {

/// Something that the test does at a point in time.
class VirtualRuntime::Action final : public Timer {
 public:
  explicit Action(std::function<void()> action) : action_{std::move(action)} {}
  void on_timer() noexcept override { action_(); }

 private:
  std::function<void()> action_;
};

VirtualRuntime::World::World(std::uint64_t seed) {
  auto virtual_transport = std::make_unique<VirtualTransport>(clock);
  transport = virtual_transport.get();
  RuntimeOptions options;
  options.clock = &clock;
  options.transport = std::move(virtual_transport);
  options.seed = seed;
  options.background_driver = false;
  runtime = std::make_unique<Runtime>(std::move(options));
}

VirtualRuntime::VirtualRuntime(std::uint64_t seed) : world_{std::make_shared<World>(seed)} {}
VirtualRuntime::~VirtualRuntime() = default;

Result<ChatResponse> VirtualRuntime::call(const Provider& provider, ChatRequest request,
                                          const VirtualCallOptions& options) {
  const auto call = start(provider, std::move(request), options);
  run(*call);
  return call->result();
}

std::shared_ptr<VirtualCall> VirtualRuntime::start(const Provider& provider, ChatRequest request,
                                                   const VirtualCallOptions& options) {
  std::erase_if(calls_, [](const auto& call) { return call->done(); });
  auto call = std::make_shared<VirtualCall>(share(), provider, std::move(request), options);
  calls_.push_back(call);
  const std::weak_ptr<VirtualCall> weak = call;
  world_->runtime->post([weak] {
    if (const auto begun = weak.lock()) begun->begin();
  });
  return call;
}

void VirtualRuntime::at(Duration elapsed_time, std::function<void()> action) {
  std::erase_if(actions_, [](const auto& done) { return !done->armed(); });
  actions_.push_back(std::make_unique<Action>(std::move(action)));
  world_->runtime->timers().arm(*actions_.back(), saturating_add(world_->start, elapsed_time));
}

void VirtualRuntime::run(VirtualCall& call) {
  if (!call.done()) world_->runtime->block_until(call.gate_);
}

void VirtualRuntime::run_all() {
  while (!calls_.empty()) {
    const auto call = calls_.back();
    run(*call);
    std::erase_if(calls_, [](const auto& other) { return other->done(); });
  }
}

void VirtualRuntime::run_for(Duration span) {
  const TimePoint end = saturating_add(world_->clock.now(), span);
  while (world_->clock.now() < end) world_->runtime->poll(saturating_difference(end, world_->clock.now()));
  do {
    world_->runtime->poll(Duration::zero());
  } while (world_->transport->busy());
}

}  // namespace backstop::inline v0::testing
