#include "backstop/runtime/wakeup.hpp"

#include <mutex>
#include <utility>

#include "process/process_number.hpp"

namespace backstop::inline v0 {

/// What the waiting coroutine and those who wake it share.
struct Wakeup::Link final : Runtime::Posted {
  explicit Link(Wakeup& owner) noexcept : wakeup{&owner}, runtime{&owner.context_->runtime()} {}

  void run() noexcept override {
    Wakeup* woken = nullptr;
    {
      const std::lock_guard lock{mutex};
      posted = false;
      woken = wakeup;
    }
    if (woken != nullptr) woken->on_wake();  // cannot go meanwhile: it is destroyed on this thread
  }

  const unsigned process = detail::process_number();
  std::mutex mutex;
  Wakeup* wakeup;    // null once it is gone; read on the driving thread or under the lock
  Runtime* runtime;  // lives as long as the wakeup does
  bool posted = false;
};

Wakeup::Wakeup(const CallContext& context) : context_{&context},
      link_{std::make_shared<Link>(*this)},
      parked_{context.runtime(), &context.state()} {}

Wakeup::~Wakeup() {
  const std::lock_guard lock{link_->mutex};
  link_->wakeup = nullptr;
}

bool Wakeup::Waker::wake() const {
  if (!link_ || link_->process != detail::process_number()) return false;  // a call of the parent's goes on there
  const std::lock_guard lock{link_->mutex};
  if (link_->wakeup == nullptr) return false;
  if (std::exchange(link_->posted, true)) return true;
  link_->runtime->post(*link_, link_);
  return true;
}

bool Wakeup::over(TimePoint until) const noexcept {
  return woken_ || context_->stopping() || until <= context_->now();
}

void Wakeup::suspend(std::coroutine_handle<> waiting, TimePoint until) {
  parked_.park(waiting);
  parked_.wake_at(until);
  parked_.wake_on(context_->stop());
}

Result<void> Wakeup::outcome() {
  woken_ = false;
  if (context_->stopping()) return context_->stop_error();
  return {};
}

void Wakeup::on_wake() noexcept {
  woken_ = true;
  parked_.wake();
}

}  // namespace backstop::inline v0
