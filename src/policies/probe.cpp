#include "backstop/policies/probe.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "backstop/policies/circuit_breaker.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/runtime.hpp"
#include "policies/options_text.hpp"
#include "process/process_number.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0 {
namespace {

constexpr int in_a_row = 2;

/// Whether a target is down, as its probes say.
///
/// Thread safety: all functions.
class ProbedHealth {
 public:
  void note(BreakerVerdict probe, TimePoint now) noexcept {
    latest_.store(now, std::memory_order_relaxed);
    if (probe == BreakerVerdict::ignored) return;
    const bool failed = probe == BreakerVerdict::failure;
    const std::lock_guard lock{mutex_};
    if (failed == down_.load(std::memory_order_relaxed)) {
      against_ = 0;
    } else if (++against_ >= in_a_row) {
      against_ = 0;
      down_.store(failed, std::memory_order_relaxed);
    }
  }
  void note_answer() noexcept {
    if (!down_.load(std::memory_order_relaxed) && against_.load(std::memory_order_relaxed) == 0) return;
    const std::lock_guard lock{mutex_};
    against_ = 0;
    down_.store(false, std::memory_order_relaxed);
  }
  /// What was found out longer ago than `holds_for` says nothing any more.
  [[nodiscard]] bool down(TimePoint now, Duration holds_for) const noexcept {
    return down_.load(std::memory_order_relaxed) &&
           saturating_difference(now, latest_.load(std::memory_order_relaxed)) < holds_for;
  }

 private:
  std::mutex mutex_;  // only while something is written
  std::atomic<bool> down_{false};
  std::atomic<int> against_{0};               // probes in a row that say otherwise
  std::atomic<TimePoint> latest_{TimePoint{}};  // when one ended
};

/// One probe: a call of its own.
class Probe final : private detail::TaskCompletion {
 public:
  Probe(Runtime& runtime, detail::TaskCompletion& end) : state_{runtime}, context_{state_, branch_, stop_, TimePoint::max()}, end_{&end} {
    state_.active_probe = true;
    state_.attempts_left = 1;
    state_.recovery_wait = Duration::zero();
    state_.started = runtime.now();
  }

  void start(const Provider& target, const ChatRequest& request, TimePoint deadline) noexcept {
    const Runtime::Step step{*state_.runtime, &state_};
    context_.set_deadline(deadline);
    try {
      task_ = target.call(request, context_);
    } catch (...) {
      return end(detail::error_from_exception("the provider"));
    }
    task_.start(*this);
  }
  void stop(StopReason reason) noexcept { stop_.request_stop(reason); }
  [[nodiscard]] bool ended() const noexcept { return says_.has_value(); }
  /// What it says of the target, once it has ended.
  [[nodiscard]] BreakerVerdict says() const noexcept { return *says_; }
  [[nodiscard]] bool is_running() const noexcept { return state_.runtime->is_inside(&state_); }

 private:
  void on_task_done() noexcept override {
    try {
      end(task_.take_result());
    } catch (...) {
      end(detail::error_from_exception("the provider"));
    }
  }
  void end(const Result<ChatResponse>& result) noexcept {
    const bool late = !result && result.error().kind == ErrorKind::deadline_exceeded;
    says_ = result ? BreakerVerdict::success : late ? BreakerVerdict::failure : verdict_of(result.error());
    end_->on_task_done();
  }

  CallState state_;
  Branch branch_;
  StopSource stop_;
  CallContext context_;
  Task<Result<ChatResponse>> task_;
  std::optional<BreakerVerdict> says_;
  detail::TaskCompletion* end_;
};

/// The probes of one target on one runtime.
///
/// Thread safety: construction and destruction on any thread; the rest on the one that drives the runtime.
class Prober final : private Timer, private detail::TaskCompletion {
 public:
  struct Shared {
    Provider target;
    ProbeOptions options;
    ProbedHealth health;
  };

  /// Errors: std::bad_alloc, std::system_error.
  Prober(std::shared_ptr<Runtime> runtime, std::shared_ptr<Shared> shared)
      : runtime_{std::move(runtime)}, shared_{std::move(shared)} {
    arm();
    runtime_->ensure_background_driver();
    runtime_->add_unattended(1);
  }
  ~Prober() override {
    const auto stop = [this] {
      end();
      if (!under_way()) runtime_->open(ended_);
    };
    runtime_->block_until(ended_, std::ref(stop));
    runtime_->add_unattended(-1);
  }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// A step of its probe is on the stack, so that its end must not be waited for.
  [[nodiscard]] bool is_running() const noexcept {
    return runtime_->driven_by_this_thread() && under_way() && probe_->is_running();
  }
  /// Then it goes away by itself.
  static void let_go(std::shared_ptr<Prober> self) noexcept {
    self->end();
    self->kept_ = std::move(self);
  }

 private:
  /// Nothing to do: a turn in which it is kept.
  struct LastTurn final : Runtime::Posted {
    void run() noexcept override {}
  };

  [[nodiscard]] bool under_way() const noexcept { return probe_ && !probe_->ended(); }
  void end() noexcept {
    disarm();
    ending_ = true;
    if (under_way()) probe_->stop(StopReason::cancelled);
  }
  void arm() {
    const double spread = 0.8 + 0.4 * runtime_->random_unit();
    const auto span = std::chrono::duration_cast<Duration>(shared_->options.every * spread);
    runtime_->timers().arm(*this, saturating_add(runtime_->now(), span));
  }
  void arm_again() noexcept {
    try {
      arm();
    } catch (const std::bad_alloc&) {  // no more probes
    }
  }
  void on_timer() noexcept override {
    if (under_way()) return probe_->stop(StopReason::deadline);
    try {
      probe_.emplace(*runtime_, static_cast<detail::TaskCompletion&>(*this));
      const TimePoint deadline = saturating_add(runtime_->now(), shared_->options.timeout);
      runtime_->timers().arm(*this, deadline);
      probe_->start(shared_->target, shared_->options.request, deadline);
    } catch (const std::bad_alloc&) {
      probe_.reset();
      arm_again();
    }
  }
  void on_task_done() noexcept override {
    if (kept_) return runtime_->post(last_turn_, std::move(kept_));
    if (ending_) return runtime_->open(ended_);
    shared_->health.note(probe_->says(), runtime_->now());
    arm_again();
  }

  std::shared_ptr<Runtime> runtime_;
  std::shared_ptr<Shared> shared_;
  std::optional<Probe> probe_;  // the last one
  bool ending_ = false;
  Runtime::Gate ended_;
  std::shared_ptr<Prober> kept_;  // until its probe has ended
  LastTurn last_turn_;
};

class Probing final : public Decorator {
 public:
  Probing(Provider next, const ProbeOptions& options, std::string description)
      : Decorator{std::move(next), std::move(description)},
        shared_{std::make_shared<Prober::Shared>(this->next(), options)} {}
  ~Probing() override {
    if (!prober_) return;
    if (begun_.load(std::memory_order_relaxed) != detail::process_number()) {
      forget_parents();
    } else if (prober_->is_running()) {
      Prober::let_go(std::move(prober_));
    }
  }
  Probing(const Probing&) = delete;
  Probing& operator=(const Probing&) = delete;

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    begin(context.runtime());
    auto result = co_await next().call(request, context);
    if (result) shared_->health.note_answer();
    co_return result;
  }

  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    Standing standing = next().standing(request, needs, now);
    if (!standing.fit() || !shared_->health.down(now, holds_for())) return standing;
    if (standing.ready()) {
      standing.why = ErrorKind::overloaded;
      standing.what = "its probes fail";
      standing.probe = Standing::Probe::after_breakers;
    }
    standing.verdict = Standing::Verdict::later;
    standing.ready_at = TimePoint::max();
    return standing;
  }

 private:
  /// In that time a probe would have ended, were anybody driving its runtime.
  [[nodiscard]] Duration holds_for() const noexcept {
    const ProbeOptions& options = shared_->options;
    return saturating_add(TimePoint{3 * options.every}, options.timeout).time_since_epoch();
  }
  void begin(Runtime& runtime) const noexcept {
    const unsigned here = detail::process_number();
    if (begun_.load(std::memory_order_acquire) == here) return;
    try {
      const std::lock_guard lock{mutex_};
      if (begun_.load(std::memory_order_relaxed) == here) return;
      if (prober_) forget_parents();
      prober_ = std::make_shared<Prober>(runtime.shared_from_this(), shared_);
      begun_.store(here, std::memory_order_release);
    } catch (...) {  // they begin with a later call
    }
  }
  /// In a child of the process: its timer is in a queue that is no more.
  void forget_parents() const noexcept { static_cast<void>(new std::shared_ptr<Prober>{std::move(prober_)}); }

  std::shared_ptr<Prober::Shared> shared_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Prober> prober_;
  mutable std::atomic<unsigned> begun_{~0U};  // in which process
};

[[nodiscard]] std::string describe_probe(const ProbeOptions& options) {
  const ProbeOptions usual;
  detail::OptionsText text{"probe"};
  text.add("every", options.every, usual.every).add("timeout", options.timeout, usual.timeout);
  return text.text();
}

}  // namespace

Policy probe(ProbeOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string description = describe_probe(options);
  return make_policy<Probing>(std::move(description), std::move(options));
}

std::string problem_with(const ProbeOptions& options) {
  constexpr std::chrono::seconds least{1};
  constexpr std::chrono::hours most{24};
  if (options.every < least || options.every > most) {
    return fmt::format("probe: every is {}; it must be between 1s and 24h", detail::duration_text(options.every));
  }
  if (options.timeout <= Duration::zero()) return "probe: timeout must be above zero";
  if (options.request.messages.empty()) return "probe: the request has no messages";
  return {};
}

}  // namespace backstop::inline v0
