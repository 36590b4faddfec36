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
    const std::lock_guard lock{mutex_};
    choice.prefer(keeper_);
    std::size_t first = 0;
    while (first < keeper_ && !(choice.ready(first) && !choice.held_back(first))) ++first;
    if (first == keeper_) {
      const bool is_out = choice.held_back(tried_) || (choice.fit(tried_) && !choice.ready(tried_));
      if (is_out && !choice.is_dry_run()) successes_ = 0;
      return;
    }
    if (choice.now() - since_ < options_.min_dwell || choice.in_flight(first) > 0) return;
    choice.prefer(first);
    if (choice.is_dry_run()) return;
    if (tries_ || tried_ != first) successes_ = 0;  // the last one was not answered there
    tries_ = true;
    tried_ = first;
  }

  void note(const Strategy::Answered& answer) {
    const std::lock_guard lock{mutex_};
    if (answer.candidate == keeper_) return;
    if (answer.fell_over) return keep(answer);
    if (!tries_ || answer.candidate != tried_) return;
    tries_ = false;
    if (++successes_ >= options_.successes) keep(answer);
  }

 private:
  void keep(const Strategy::Answered& answer) noexcept {
    keeper_ = answer.candidate;
    since_ = answer.at;
    tries_ = false;
    successes_ = 0;
  }

  const FailbackOptions options_;
  std::mutex mutex_;
  std::size_t keeper_ = 0;
  TimePoint since_{};
  bool tries_ = false;   // a call was sent to an earlier one, and has not been answered there
  std::size_t tried_ = 0;
  int successes_ = 0;
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
