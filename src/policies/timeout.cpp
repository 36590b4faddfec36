#include "backstop/policies/timeout.hpp"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "attempt_watchdog.hpp"
#include "duration_text.hpp"

namespace backstop::inline v0 {
namespace {

using detail::AttemptLimits;
using detail::duration_text;

constexpr Duration off = Duration::max();
constexpr Duration first_byte_hosted = std::chrono::seconds{60};
constexpr Duration first_byte_local = std::chrono::seconds{300};

/// The limit that was broken, in words.
std::string broken_limit(StopReason reason, const AttemptLimits& limits) {
  switch (reason) {
    case StopReason::connect: return fmt::format("no connection within {}", duration_text(limits.connect));
    case StopReason::first_byte: return fmt::format("no byte of an answer within {}", duration_text(limits.first_byte));
    case StopReason::first_token:
      return fmt::format("no content of an answer within {}", duration_text(limits.first_token));
    case StopReason::idle: return fmt::format("the answer stopped coming for {}", duration_text(limits.idle));
    default: return fmt::format("the attempt took longer than {}", duration_text(limits.attempt));
  }
}

/// When each phase of the attempt was reached.
std::string phases(const AttemptProgress& progress) {
  struct Phase {
    std::string_view name;
    TimePoint at;
  };
  const std::initializer_list<Phase> reached{{"connected", progress.connected},
                                             {"first byte", progress.first_byte},
                                             {"first token", progress.first_content},
                                             {"last byte", progress.last_byte}};
  std::string text;
  for (const Phase& phase : reached) {
    if (!AttemptProgress::reached(phase.at)) continue;
    text += fmt::format("{}{} after {}", text.empty() ? " (" : ", ", phase.name,
                        duration_text(phase.at - progress.started));
  }
  return text.empty() ? text : text + ")";
}

/// Says which limit and how far the attempt had come, in the error and in its row of the ledger.
void explain(Error& error, const std::string& message, Ledger& ledger) {
  if (!ledger.empty() && ledger.back().sent && ledger.back().reason.starts_with(error.message)) {
    ledger.back().reason.replace(0, error.message.size(), message);
  }
  error.message = message;
}

struct NamedLimit {
  std::string_view name;
  std::optional<Duration> value;
  std::optional<Duration> usual;
};

[[nodiscard]] std::array<NamedLimit, 5> named_limits(const TimeoutOptions& options) {
  const TimeoutOptions usual;
  return {{{"connect", options.connect, usual.connect},
           {"first_byte", options.first_byte, usual.first_byte},
           {"first_token", options.first_token, usual.first_token},
           {"idle", options.idle, usual.idle},
           {"attempt", options.attempt, usual.attempt}}};
}

class Timeout final : public Decorator {
 public:
  Timeout(Provider next, const TimeoutOptions& options, std::string description)
      : Decorator{std::move(next), std::move(description)}, options_{options} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    AttemptProgress own_progress;
    AttemptProgress& progress = context.progress() != nullptr ? *context.progress() : own_progress;
    StopSource stop{context.stop()};
    CallContext inner = context;
    inner.set_stop(stop);
    inner.set_progress(&progress);
    const AttemptLimits limits = limits_of(context);
    detail::AttemptWatchdog watchdog{limits, context, stop, progress};
    auto result = co_await next().call(request, inner);
    watchdog.stop_watching();
    if (!result && watchdog.fired() != StopReason::none && result.error().timeout_limit != TimeoutLimit::none) {
      explain(result.error(), broken_limit(watchdog.fired(), limits) + phases(progress), context.state().ledger);
    }
    co_return result;
  }
  [[nodiscard]] Layer layer() const override {
    Layer layer = Decorator::layer();
    for (const NamedLimit& limit : named_limits(options_)) {
      if (limit.value && limit.value != limit.usual) layer.limits.push_back({limit.name, *limit.value});
    }
    return layer;
  }

 private:
  [[nodiscard]] AttemptLimits limits_of(const CallContext& context) const noexcept {
    const Duration usual_first_byte = target().facts().local ? first_byte_local : first_byte_hosted;
    return AttemptLimits{options_.connect, options_.first_byte.value_or(context.streaming() ? usual_first_byte : off),
                         options_.first_token.value_or(off), options_.idle, options_.attempt};
  }

  TimeoutOptions options_;
};

Policy make_timeout(const TimeoutOptions& options, bool attempt_only) {
  std::string text;
  for (const NamedLimit& limit : named_limits(options)) {
    if (!limit.value) continue;
    if (*limit.value <= Duration::zero()) {
      throw std::invalid_argument{
          fmt::format("TimeoutOptions::{} is {}; it must be above zero (Duration::max() for off)", limit.name,
                      duration_text(*limit.value))};
    }
    if (limit.value == limit.usual) continue;
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", limit.name, duration_text(*limit.value));
  }
  if (attempt_only) text = duration_text(options.attempt);
  return make_policy<Timeout>("timeout(" + text + ")", options);
}

}  // namespace

Policy timeout(TimeoutOptions options) { return make_timeout(options, false); }

Policy timeout(Duration attempt) {
  TimeoutOptions options;
  options.attempt = attempt;
  return make_timeout(options, true);
}

}  // namespace backstop::inline v0
