#include <memory>
#include <mutex>
#include <stdexcept>

#include <fmt/format.h>

#include "backstop/routing/strategy.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0 {
namespace {

/// Who keeps the calls of one client, and how far an earlier candidate has come on its way back.
class Failback {
 public:
  explicit Failback(const FailbackOptions& options) : options_{options} {}

  void order(Choice& choice) {
    // Asked without the lock: a provider of the application's own may do anything.
    const State seen = state();
    choice.prefer(seen.keeper);
    std::size_t first = 0;
    while (first < seen.keeper && !(choice.ready(first) && !choice.held_back(first))) ++first;
    if (first == seen.keeper) {
      const bool is_out = choice.held_back(seen.tried) || (choice.fit(seen.tried) && !choice.ready(seen.tried));
      if (is_out && !choice.is_dry_run()) forget_successes();
      return;
    }
    if (choice.now() - seen.since < options_.min_dwell) return;
    if (seen.tries && seen.tried == first && choice.now() < seen.tries_until) return;
    if (choice.is_dry_run() || begin_trial(seen, first, choice.now())) choice.prefer(first);
  }

  void note(const Strategy::Answered& answer) {
    const std::lock_guard lock{mutex_};
    if (answer.candidate == state_.keeper) {
      if (answer.fell_over) end_trial(false);
      return;
    }
    if (answer.fell_over) return keep(answer);
    if (!state_.tries || answer.candidate != state_.tried) return;
    end_trial(true);
    if (state_.successes >= options_.successes) keep(answer);
  }

 private:
  /// A trial that is neither answered nor falls over was given up by its caller.
  static constexpr std::chrono::seconds longest_trial{120};

  struct State {
    std::size_t keeper = 0;
    TimePoint since{};
    bool tries = false;  // a call was sent to an earlier one, and has not ended there
    TimePoint tries_until{};
    std::size_t tried = 0;
    int successes = 0;
  };

  [[nodiscard]] State state() {
    const std::lock_guard lock{mutex_};
    return state_;
  }
  void forget_successes() {
    const std::lock_guard lock{mutex_};
    state_.successes = 0;
  }
  /// False where another call was faster.
  [[nodiscard]] bool begin_trial(const State& seen, std::size_t first, TimePoint now) {
    const std::lock_guard lock{mutex_};
    const bool as_seen = state_.keeper == seen.keeper && state_.tries == seen.tries && state_.tried == seen.tried &&
                         state_.tries_until == seen.tries_until;
    if (!as_seen) return false;
    if (state_.tries || state_.tried != first) state_.successes = 0;  // the last one was not answered there
    state_.tries = true;
    state_.tries_until = saturating_add(now, longest_trial);
    state_.tried = first;
    return true;
  }
  void end_trial(bool answered) noexcept {
    state_.tries = false;
    state_.successes = answered ? state_.successes + 1 : 0;
  }
  void keep(const Strategy::Answered& answer) noexcept {
    state_ = {};
    state_.keeper = answer.candidate;
    state_.since = answer.at;
  }

  const FailbackOptions options_;
  std::mutex mutex_;
  State state_;
};

}  // namespace

Strategy ordered() { return Strategy{}; }

Strategy ordered(FailbackOptions failback) {
  if (failback.min_dwell < Duration::zero()) throw std::invalid_argument{"ordered: min_dwell must not be negative"};
  if (failback.successes < 1) {
    throw std::invalid_argument{fmt::format("ordered: successes is {}; it must be at least 1", failback.successes)};
  }
  std::string description = fmt::format("ordered(min_dwell = {}, successes = {})",
                                        detail::duration_text(failback.min_dwell), failback.successes);
  return Strategy{std::move(description), [failback](std::size_t) {
                    auto state = std::make_shared<Failback>(failback);
                    return Strategy::Chooser{.order = [state](Choice& choice) { state->order(choice); },
                                             .answered = [state](const Strategy::Answered& answer) { state->note(answer); },
                                             .slow_start = false};
                  }};
}

}  // namespace backstop::inline v0
