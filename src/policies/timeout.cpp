#include "backstop/policies/timeout.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "policies/tighter_limits.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0 {
namespace {

using detail::duration_text;

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

  // The limits are armed where the send is made.
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    const AttemptLimits both = context.limits() != nullptr ? detail::tighter(options_, *context.limits()) : options_;
    CallContext inner = context;
    inner.set_limits(both);
    auto result = co_await next().call(request, inner);
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
  constexpr std::array<std::string_view, 3> names{"automatic", "never", "always"};
  if (options.plain_calls_stream != PlainCallsStream::automatic) {
    text += fmt::format("{}plain_calls_stream = {}", text.empty() ? "" : ", ",
                        names[static_cast<std::size_t>(options.plain_calls_stream)]);
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
