#include "runtime/attempt_watchdog.hpp"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include <fmt/format.h>

#include "text/duration.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr Duration off = Duration::max();
constexpr std::chrono::seconds first_byte_hosted{60};
constexpr std::chrono::seconds first_byte_local{300};
constexpr std::chrono::seconds first_byte_whole{120};
constexpr std::chrono::seconds first_token_usual{30};
constexpr std::chrono::seconds first_token_thinking{300};

[[nodiscard]] std::string limit_text(StopReason reason, const ArmedLimits& limits) {
  switch (reason) {
    case StopReason::connect: return fmt::format("no connection within {}", rounded_text(limits.connect));
    case StopReason::first_byte: return fmt::format("no byte of an answer within {}", rounded_text(limits.first_byte));
    case StopReason::first_token:
      return fmt::format("no content of an answer within {}", rounded_text(limits.first_token));
    case StopReason::idle: return fmt::format("the answer stopped coming for {}", rounded_text(limits.idle));
    default: return fmt::format("the attempt took longer than {}", rounded_text(limits.attempt));
  }
}

}  // namespace

ArmedLimits armed(const AttemptLimits& limits, const Target& target, bool streamed, bool other_ready) noexcept {
  const ModelFacts& facts = target.facts();
  Duration first_byte = other_ready && !facts.local ? Duration{first_byte_whole} : off;
  if (streamed) first_byte = facts.local ? first_byte_local : first_byte_hosted;
  Duration first_token = off;
  if (streamed && other_ready) first_token = facts.thinks_unseen || facts.local ? first_token_thinking : first_token_usual;
  return {limits.connect, limits.first_byte.value_or(first_byte), limits.first_token.value_or(first_token), limits.idle,
          limits.attempt};
}

std::string broken_limit(StopReason reason, const ArmedLimits& limits, const AttemptProgress& progress) {
  struct Phase {
    std::string_view name;
    TimePoint at;
  };
  const std::initializer_list<Phase> reached{{"connected", progress.connected},
                                             {"first byte", progress.first_byte},
                                             {"first token", progress.first_content},
                                             {"last byte", progress.last_byte}};
  std::string text = limit_text(reason, limits);
  bool any = false;
  for (const Phase& phase : reached) {
    if (!AttemptProgress::reached(phase.at)) continue;
    // What came with the last bytes was read after them.
    const bool any_byte = AttemptProgress::reached(progress.last_byte);
    const TimePoint at = any_byte ? std::min(phase.at, progress.last_byte) : phase.at;
    text += fmt::format("{}{} after {}", any ? ", " : " (", phase.name, rounded_text(at - progress.started));
    any = true;
  }
  return any ? text + ")" : text;
}

AttemptWatchdog::AttemptWatchdog(const ArmedLimits& limits, const CallContext& context, StopSource& stop,
                                 const AttemptProgress& progress) noexcept
    : limits_{limits}, context_{&context}, stop_{&stop}, progress_{&progress} {
  held_now_ = held_at_last_look_ = held();
}

void AttemptWatchdog::watch() {
  if (stop_->stop_requested()) return;
  // Nothing has begun yet: no limit can pass before the shortest has.
  const Duration shortest =
      std::min({limits_.connect, limits_.first_byte, limits_.first_token, limits_.idle, limits_.attempt});
  arm_at(saturating_add(context_->now(), shortest));
}

void AttemptWatchdog::on_timer() noexcept {
  if (stop_->stop_requested()) return;
  look();
  if (due_.at > context_->now()) return arm_at(due_.at);
  fired_ = due_.reason;
  stop_->request_stop(fired_);
}

void AttemptWatchdog::arm_at(TimePoint at) {
  if (at != TimePoint::max()) context_->runtime().timers().arm(*this, at);
}

void AttemptWatchdog::look() noexcept {
  held_now_ = held();
  mark(started_, progress_->started);
  mark(connecting_, progress_->connecting);
  mark(connected_, progress_->connected);
  mark(last_byte_, progress_->last_byte);
  held_at_last_look_ = held_now_;

  // A limit whose beginning is still to come cannot pass before its own time from now.
  const Mark still_to_come{context_->now(), held_now_};
  due_ = {};
  consider(StopReason::attempt, limits_.attempt, started_);
  const bool content = AttemptProgress::reached(progress_->first_content);
  if (!progress_->network) {
    if (!content) consider(StopReason::first_token, limits_.first_token, started_);
    return;
  }
  const bool connected = AttemptProgress::reached(progress_->connected);
  const Mark& sent = connected ? connected_ : still_to_come;
  if (!connected) {
    const bool waited = AttemptProgress::reached(progress_->connecting);
    consider(StopReason::connect, limits_.connect,
             progress_->waits_for_connection ? still_to_come : waited ? connecting_ : started_);
  }
  const bool answering = connected && AttemptProgress::reached(progress_->first_byte);
  if (!answering) consider(StopReason::first_byte, limits_.first_byte, sent);
  consider(StopReason::idle, limits_.idle, answering ? last_byte_ : still_to_come);
  if (!content) consider(StopReason::first_token, limits_.first_token, sent);
}

void AttemptWatchdog::mark(Mark& mark, TimePoint at) const noexcept {
  if (mark.at == at) return;
  const Duration most_since = saturating_difference(context_->now(), at);
  mark = {at, std::max(held_at_last_look_, held_now_ - most_since)};
}

void AttemptWatchdog::consider(StopReason reason, Duration limit, const Mark& from) noexcept {
  if (limit == Duration::max()) return;
  const TimePoint at = saturating_add(saturating_add(from.at, limit), held_now_ - from.held);
  if (at < due_.at) due_ = {at, reason};
}

Duration AttemptWatchdog::held() const noexcept {
  return context_->streaming() ? context_->sink()->consumer_time() : Duration::zero();
}

}  // namespace backstop::inline v0::detail
