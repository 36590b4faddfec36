#include "backstop/state/concurrency_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace backstop::inline v0 {
namespace {

constexpr int most = 1'000'000;

[[nodiscard]] AdaptiveConcurrencyOptions fixed(const BulkheadOptions& options) noexcept {
  return {.initial = options.max_in_flight,
          .min = 1,
          .max = most,
          .max_queued = options.max_queued,
          .max_wait = options.max_wait,
          .failover_wait = options.failover_wait};
}

[[nodiscard]] std::string problem_with_queue(std::string_view policy, int max_queued, Duration max_wait,
                                             Duration failover_wait) {
  if (max_queued < 0 || max_queued > most) {
    return fmt::format("{}: max_queued is {}; it must be between 0 and {}", policy, max_queued, most);
  }
  if (max_wait < Duration::zero()) return fmt::format("{}: max_wait must not be negative", policy);
  if (failover_wait < Duration::zero()) return fmt::format("{}: failover_wait must not be negative", policy);
  return {};
}

[[nodiscard]] std::string with_queue(std::string text, int max_queued) {
  if (max_queued > 0) text += fmt::format(", max_queued = {}", max_queued);
  return text;
}

}  // namespace

struct ConcurrencyLimit::State {
  State(const AdaptiveConcurrencyOptions& limit_options, bool is_adaptive, std::string text)
      : options{limit_options}, adaptive{is_adaptive}, description{std::move(text)}, limit{limit_options.initial} {}

  /// Holds the lock while something changes, and notes on its way out whether all is full, so that asking needs no lock.
  class Change {
   public:
    explicit Change(State& state) : state_{&state}, lock_{state.mutex} {}
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    ~Change() { state_->is_full.store(state_->full(), std::memory_order_relaxed); }

   private:
    State* state_;
    std::lock_guard<std::mutex> lock_;
  };

  // All under the lock.

  [[nodiscard]] bool full() const noexcept {
    return (in_flight >= limit || !queue.empty()) && queue.size() >= static_cast<std::size_t>(options.max_queued);
  }
  void admit(ConcurrencyPermit& permit) noexcept {
    ++in_flight;
    permit.admitted_ = true;
    permit.epoch_ = epoch;
  }
  void leave(const ConcurrencyPermit& waiting) {
    const auto place = std::find(queue.begin(), queue.end(), &waiting);
    if (place != queue.end()) queue.erase(place);
  }
  /// Lets through from the front of the queue as many as there are permits for.
  void move_queue() {
    while (!queue.empty() && in_flight < limit) {
      ConcurrencyPermit& first = *queue.front();
      queue.pop_front();
      admit(first);
      first.waker_.wake();
    }
  }
  /// Additive increase, multiplicative decrease. What was under way before a decrease cannot say anything on the limit
  /// after it, so that sends that are dropped together count once.
  void learn(ConcurrencyVerdict verdict, std::uint64_t begun_in) noexcept {
    if (verdict == ConcurrencyVerdict::dropped && begun_in == epoch) {
      const int less = static_cast<int>(static_cast<double>(limit) * options.decrease);
      limit = std::max(options.min, std::min(limit - 1, less));
      ++epoch;
      successes = 0;
    }
    if (verdict == ConcurrencyVerdict::success && 2 * static_cast<std::int64_t>(in_flight) >= limit &&
        ++successes >= limit) {
      limit = std::min(options.max, limit + 1);
      successes = 0;
    }
  }

  const AdaptiveConcurrencyOptions options;
  const bool adaptive;
  const std::string description;
  std::mutex mutex;
  int limit;
  int in_flight = 0;
  int successes = 0;        // since the limit last changed, while at least half of it was used
  std::uint64_t epoch = 0;  // grows with every decrease
  std::deque<ConcurrencyPermit*> queue;
  std::atomic<bool> is_full{false};
};

ConcurrencyLimit::ConcurrencyLimit(const BulkheadOptions& options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string text = with_queue(fmt::format("max_in_flight = {}", options.max_in_flight), options.max_queued);
  state_ = std::make_shared<State>(fixed(options), false, std::move(text));
}

ConcurrencyLimit::ConcurrencyLimit(const AdaptiveConcurrencyOptions& options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  std::string text = fmt::format("initial = {}, min = {}, max = {}", options.initial, options.min, options.max);
  state_ = std::make_shared<State>(options, true, with_queue(std::move(text), options.max_queued));
}

void ConcurrencyLimit::resize(int max_in_flight) const {
  if (max_in_flight < 1) {
    throw std::invalid_argument{
        fmt::format("ConcurrencyLimit::resize: the limit is {}; it must be at least 1", max_in_flight)};
  }
  const State::Change change{*state_};
  state_->limit = std::clamp(max_in_flight, state_->options.min, state_->options.max);
  state_->successes = 0;
  state_->move_queue();
}

ConcurrencySnapshot ConcurrencyLimit::snapshot() const noexcept {
  const std::lock_guard lock{state_->mutex};
  return {state_->limit, state_->in_flight, static_cast<int>(state_->queue.size())};
}

bool ConcurrencyLimit::full() const noexcept { return state_->is_full.load(std::memory_order_relaxed); }

const std::string& ConcurrencyLimit::description() const noexcept { return state_->description; }

ConcurrencyPermit::ConcurrencyPermit(const ConcurrencyLimit& limit, TimePoint now, TimePoint deadline,
                                     bool other_target_ready)
    : state_{limit.state_.get()} {
  const ConcurrencyLimit::State::Change change{*state_};
  if (state_->in_flight < state_->limit && state_->queue.empty()) {
    state_->admit(*this);
    stage_ = Stage::held;
    return;
  }
  const AdaptiveConcurrencyOptions& options = state_->options;
  const Duration patience = other_target_ready ? std::min(options.max_wait, options.failover_wait) : options.max_wait;
  latest_ = std::min(deadline, saturating_add(now, patience));
  if (state_->full() || latest_ <= now) return;
  state_->queue.push_back(this);
  stage_ = Stage::waiting;
}

ConcurrencyPermit::~ConcurrencyPermit() { release(ConcurrencyVerdict::ignored); }

void ConcurrencyPermit::wake_through(Wakeup::Waker waker) {
  const std::lock_guard lock{state_->mutex};
  waker_ = std::move(waker);
}

ConcurrencyPermit::Stage ConcurrencyPermit::look(TimePoint now) {
  if (stage_ != Stage::waiting) return stage_;
  const ConcurrencyLimit::State::Change change{*state_};
  if (admitted_) return stage_ = Stage::held;
  if (now < latest_) return stage_;
  state_->leave(*this);
  return stage_ = Stage::refused;
}

void ConcurrencyPermit::release(ConcurrencyVerdict verdict) noexcept {
  if (stage_ == Stage::refused || stage_ == Stage::released) return;
  stage_ = Stage::released;
  const ConcurrencyLimit::State::Change change{*state_};
  if (!admitted_) return state_->leave(*this);
  if (state_->adaptive) state_->learn(verdict, epoch_);
  --state_->in_flight;
  state_->move_queue();
}

std::string problem_with(const BulkheadOptions& options) {
  if (options.max_in_flight < 1 || options.max_in_flight > most) {
    return fmt::format("bulkhead: max_in_flight is {}; it must be between 1 and {}", options.max_in_flight, most);
  }
  return problem_with_queue("bulkhead", options.max_queued, options.max_wait, options.failover_wait);
}

std::string problem_with(const AdaptiveConcurrencyOptions& options) {
  if (options.min < 1) return fmt::format("adaptive_concurrency: min is {}; it must be at least 1", options.min);
  if (options.max < options.min || options.max > most) {
    return fmt::format("adaptive_concurrency: max is {}; it must be between min ({}) and {}", options.max, options.min,
                       most);
  }
  if (options.initial < options.min || options.initial > options.max) {
    return fmt::format("adaptive_concurrency: initial is {}; it must be between min ({}) and max ({})", options.initial,
                       options.min, options.max);
  }
  if (!(options.decrease > 0 && options.decrease < 1)) {
    return "adaptive_concurrency: decrease must be above 0 and below 1";
  }
  return problem_with_queue("adaptive_concurrency", options.max_queued, options.max_wait, options.failover_wait);
}

}  // namespace backstop::inline v0
