#include "backstop/testing/virtual_runtime.hpp"

#include <algorithm>
#include <utility>

namespace backstop::inline v0::testing {

/// Something that the test does at a point in time.
class VirtualRuntime::Action final : public Timer {
 public:
  explicit Action(std::function<void()> action) : action_{std::move(action)} {}
  void on_timer() noexcept override {
    action_();
    done_ = true;
  }
  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  bool done_ = false;
  std::function<void()> action_;
};

namespace {

/// Drops what is done, now and then: so that adding to a long list stays cheap.
template <class List>
void tidy(List& list) {
  if (list.size() < list.capacity()) return;
  std::erase_if(list, [](const auto& item) { return item->done(); });
  list.reserve(2 * list.size() + 1);
}

}  // namespace

VirtualRuntime::World::World(std::uint64_t seed)
    : Runtime{[&] {
        RuntimeOptions options;
        options.clock = &time;
        auto transport = std::make_unique<VirtualTransport>(time);
        sockets = transport.get();
        options.transport = std::move(transport);
        options.seed = seed;
        options.background_driver = false;
        return options;
      }()} {}

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
  tidy(calls_);
  auto call = std::make_shared<VirtualCall>(share(), provider, std::move(request), options);
  calls_.push_back(call);
  const std::weak_ptr<VirtualCall> weak = call;
  world_->post([weak] {
    if (const auto begun = weak.lock()) begun->begin();
  });
  return call;
}

void VirtualRuntime::at(Duration elapsed_time, std::function<void()> action) {
  tidy(actions_);
  actions_.push_back(std::make_unique<Action>(std::move(action)));
  world_->timers().arm(*actions_.back(), saturating_add(world_->start, elapsed_time));
}

void VirtualRuntime::run(VirtualCall& call) {
  if (!call.done()) world_->block_until(call.gate_);
}

void VirtualRuntime::run_all() {
  while (!calls_.empty()) {
    const auto call = std::move(calls_.back());
    calls_.pop_back();
    run(*call);
  }
}

void VirtualRuntime::run_for(Duration span) {
  const TimePoint end = saturating_add(world_->time.now(), span);
  while (world_->time.now() < end) world_->poll(saturating_difference(end, world_->time.now()));
  do {
    world_->poll(Duration::zero());
  } while (world_->sockets->busy());
}

}  // namespace backstop::inline v0::testing
