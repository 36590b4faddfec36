#include "config/policy_blocks.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/fields.hpp"

namespace backstop::inline v0::detail {
namespace {

using namespace std::string_view_literals;

constexpr int most_attempts = 100;

std::optional<std::vector<int>> statuses(const Setting& at) {
  std::vector<int> statuses;
  const std::vector<Setting> elements = at.elements("HTTP statuses");
  for (const Setting& element : elements) {
    if (const auto status = element.whole(400, 599)) statuses.push_back(*status);
  }
  if (at.is_array() && elements.empty()) {
    at.complain("is empty; list statuses, or forbid retries with `max_retries`: 0");
  }
  return statuses.empty() ? std::nullopt : std::optional{std::move(statuses)};
}

constexpr std::array timeout_fields{
    Field<TimeoutOptions>{"connect", [](const Setting& at, TimeoutOptions& out) { set(out.connect, at.duration()); }},
    Field<TimeoutOptions>{"first_byte",
                          [](const Setting& at, TimeoutOptions& out) { set(out.first_byte, at.duration()); }},
    Field<TimeoutOptions>{"first_token",
                          [](const Setting& at, TimeoutOptions& out) { set(out.first_token, at.duration()); }},
    Field<TimeoutOptions>{"idle", [](const Setting& at, TimeoutOptions& out) { set(out.idle, at.duration()); }},
    Field<TimeoutOptions>{"attempt", [](const Setting& at, TimeoutOptions& out) { set(out.attempt, at.duration()); }},
};

constexpr std::array retry_fields{
    Field<RetryOptions>{"max_attempts", [](const Setting& at, RetryOptions& out) {
                          set(out.max_attempts, at.whole(1, most_attempts));
                        }},
    Field<RetryOptions>{"initial", [](const Setting& at, RetryOptions& out) { set(out.initial, at.duration()); }},
    Field<RetryOptions>{"max", [](const Setting& at, RetryOptions& out) { set(out.max, at.duration()); }},
    Field<RetryOptions>{"on", [](const Setting& at, RetryOptions& out) { set(out.on_status, statuses(at)); }},
};

std::optional<double> rate(const Setting& at) {
  const std::optional<double> rate = at.number(0, 1);
  if (rate == 0.0) at.refuse("above 0");
  return rate;
}

constexpr std::array breaker_fields{
    Field<CircuitBreakerOptions>{"consecutive_failures", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.consecutive_failures, at.whole(1, 1'000'000));
                                 }},
    Field<CircuitBreakerOptions>{"failure_rate", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.failure_rate, rate(at));
                                 }},
    Field<CircuitBreakerOptions>{"min_calls", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.min_calls, at.whole(1, 1'000'000));
                                 }},
    Field<CircuitBreakerOptions>{"window", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.window, at.duration());
                                 }},
    Field<CircuitBreakerOptions>{"open_for", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.open_for, at.duration());
                                 }},
    Field<CircuitBreakerOptions>{"open_for_max", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.open_for_max, at.duration());
                                 }},
    Field<CircuitBreakerOptions>{"ramp", [](const Setting& at, CircuitBreakerOptions& out) {
                                   set(out.ramp, at.duration());
                                 }},
};

constexpr std::array rate_fields{
    Field<RateLimitOptions>{"requests_per_minute",
                            [](const Setting& at, RateLimitOptions& out) { out.requests_per_minute = at.tokens(); }},
    Field<RateLimitOptions>{"tokens_per_minute",
                            [](const Setting& at, RateLimitOptions& out) { out.tokens_per_minute = at.tokens(); }},
    Field<RateLimitOptions>{"input_tokens_per_minute", [](const Setting& at, RateLimitOptions& out) {
                              out.input_tokens_per_minute = at.tokens();
                            }},
    Field<RateLimitOptions>{"output_tokens_per_minute", [](const Setting& at, RateLimitOptions& out) {
                              out.output_tokens_per_minute = at.tokens();
                            }},
    Field<RateLimitOptions>{"burst", [](const Setting& at, RateLimitOptions& out) {
                              if (const auto burst = at.whole(1, 1'000'000'000)) out.burst = *burst;
                            }},
    Field<RateLimitOptions>{"max_wait",
                            [](const Setting& at, RateLimitOptions& out) { set(out.max_wait, at.duration()); }},
};

constexpr std::array probe_fields{
    Field<ProbeOptions>{"every", [](const Setting& at, ProbeOptions& out) { set(out.every, at.duration()); }},
    Field<ProbeOptions>{"timeout", [](const Setting& at, ProbeOptions& out) { set(out.timeout, at.duration()); }},
    Field<ProbeOptions>{"prompt",
                        [](const Setting& at, ProbeOptions& out) {
                          if (auto prompt = at.text()) out.request.messages = {Message::user(std::move(*prompt))};
                        }},
    Field<ProbeOptions>{"max_output_tokens",
                        [](const Setting& at, ProbeOptions& out) { out.request.max_output_tokens = at.tokens(); }},
};

constexpr std::array hedge_budget_fields{
    Field<HedgeBudgetOptions>{"share", [](const Setting& at, HedgeBudgetOptions& out) { set(out.share, at.number(0, 1)); }},
};

constexpr std::array hedge_fields{
    Field<HedgeOptions>{"percentile",
                        [](const Setting& at, HedgeOptions& out) { set(out.percentile, at.number(0, 1)); }},
    Field<HedgeOptions>{"min_samples", [](const Setting& at, HedgeOptions& out) { set(out.min_samples, at.whole(1, 256)); }},
    Field<HedgeOptions>{"min_delay", [](const Setting& at, HedgeOptions& out) { set(out.min_delay, at.duration()); }},
    Field<HedgeOptions>{"delay_without_samples",
                        [](const Setting& at, HedgeOptions& out) { set(out.delay_without_samples, at.duration()); }},
    Field<HedgeOptions>{"budget",
                        [](const Setting& at, HedgeOptions& out) { read_fields(at, hedge_budget_fields, out.budget); }},
};

constexpr std::array recovery_fields{
    Field<RecoveryOptions>{"max_wait", [](const Setting& at, RecoveryOptions& out) { set(out.max_wait, at.span()); }},
    Field<RecoveryOptions>{"max_waiting",
                           [](const Setting& at, RecoveryOptions& out) { set(out.max_waiting, at.whole(0, 1'000'000)); }},
    Field<RecoveryOptions>{"probe_interval",
                           [](const Setting& at, RecoveryOptions& out) { set(out.probe_interval, at.duration()); }},
    Field<RecoveryOptions>{"probe_interval_max",
                           [](const Setting& at, RecoveryOptions& out) { set(out.probe_interval_max, at.duration()); }},
    Field<RecoveryOptions>{"repeat_failed",
                           [](const Setting& at, RecoveryOptions& out) { set(out.repeat_failed, at.boolean()); }},
    Field<RecoveryOptions>{"min_attempt_time",
                           [](const Setting& at, RecoveryOptions& out) { set(out.min_attempt_time, at.span()); }},
    Field<RecoveryOptions>{"cooldown_max",
                           [](const Setting& at, RecoveryOptions& out) { set(out.cooldown_max, at.duration()); }},
};

constexpr std::array spending_fields{
    Field<SpendingConfig>{"per_request_usd",
                          [](const Setting& at, SpendingConfig& out) { out.per_request = at.dollars(); }},
    Field<SpendingConfig>{"per_day_usd",
                          [](const Setting& at, SpendingConfig& out) { out.per_day.per_period = at.dollars(); }},
    Field<SpendingConfig>{"fallback_premium_per_day_usd", [](const Setting& at, SpendingConfig& out) {
                            out.per_day.fallback_premium_per_period = at.dollars();
                          }},
};

void read_tls(const Setting& at, HttpOptions& out) {
  constexpr std::array names{std::pair{"1.2"sv, TlsVersion::v1_2}, std::pair{"1.3"sv, TlsVersion::v1_3}};
  set(out.least_tls, read_name(at, names, R"("1.2" or "1.3")"));
}

void read_http_version(const Setting& at, HttpOptions& out) {
  constexpr std::array names{std::pair{"auto"sv, HttpVersion::automatic}, std::pair{"1.1"sv, HttpVersion::v1_1},
                             std::pair{"2"sv, HttpVersion::v2}};
  set(out.version, read_name(at, names, R"("auto", "1.1" or "2")"));
}

void read_resolve(const Setting& at, HttpOptions& out) {
  out.resolve.clear();
  for (const Setting& element : at.elements("addresses of hosts, as host:port:address")) {
    std::string one = element.text().value_or("");
    if (!problem_with(HttpOptions{.resolve = {one}}).empty()) element.refuse("host:port:address");
    out.resolve.push_back(std::move(one));
  }
}

void read_proxy(const Setting& at, HttpOptions& out) {
  set(out.proxy, at.text());
  // Not quoted: it may hold a password.
  if (!problem_with(HttpOptions{.proxy = out.proxy}).empty()) {
    at.complain("must be an address such as http://proxy:3128, \"environment\" or \"none\"");
  }
}

constexpr std::array http_fields{
    Field<HttpOptions>{"proxy", read_proxy},
    Field<HttpOptions>{"no_proxy", [](const Setting& at, HttpOptions& out) { set(out.no_proxy, at.text()); }},
    Field<HttpOptions>{"ca_file", [](const Setting& at, HttpOptions& out) { set(out.ca_file, at.text()); }},
    Field<HttpOptions>{"ca_folder", [](const Setting& at, HttpOptions& out) { set(out.ca_folder, at.text()); }},
    Field<HttpOptions>{"client_certificate",
                       [](const Setting& at, HttpOptions& out) { set(out.client_certificate, at.text()); }},
    Field<HttpOptions>{"client_key", [](const Setting& at, HttpOptions& out) { set(out.client_key, at.text()); }},
    Field<HttpOptions>{"least_tls", read_tls},
    Field<HttpOptions>{"unix_socket", [](const Setting& at, HttpOptions& out) { set(out.unix_socket, at.text()); }},
    Field<HttpOptions>{"resolve", read_resolve},
    Field<HttpOptions>{"local_interface",
                       [](const Setting& at, HttpOptions& out) { set(out.local_interface, at.text()); }},
    Field<HttpOptions>{"version", read_http_version},
    Field<HttpOptions>{"connections_per_host",
                       [](const Setting& at, HttpOptions& out) { set(out.connections_per_host, at.whole(0, 100'000)); }},
    Field<HttpOptions>{"connections",
                       [](const Setting& at, HttpOptions& out) { set(out.connections, at.whole(0, 100'000)); }},
    Field<HttpOptions>{"idle_connections",
                       [](const Setting& at, HttpOptions& out) { set(out.idle_connections, at.whole(0, 100'000)); }},
    Field<HttpOptions>{"user_agent", [](const Setting& at, HttpOptions& out) { set(out.user_agent, at.text()); }},
};

void read_length(const Setting& at, FloorConfig& out) {
  constexpr int most = 1'000'000'000;
  constexpr std::array length_fields{
      Field<FloorConfig>{"min", [](const Setting& bound, FloorConfig& floor) { floor.min_length = bound.whole(0, most); }},
      Field<FloorConfig>{"max", [](const Setting& bound, FloorConfig& floor) { floor.max_length = bound.whole(0, most); }},
  };
  read_fields(at, length_fields, out);
  if (!at.is_object()) return;
  if (at.keys().empty()) at.complain("is empty; give it min, max or both");
  if (out.min_length && out.max_length && *out.max_length < *out.min_length) {
    at["max"].complain(fmt::format("is {}, below `min`, which is {}; it must not be below", *out.max_length, *out.min_length));
  }
}

void read_labels(const Setting& at, FloorConfig& out) {
  const std::vector<Setting> elements = at.elements("labels");
  if (at.is_array() && elements.empty()) at.complain("is empty; at least one label is needed");
  for (const Setting& element : elements) {
    if (auto label = element.text()) out.one_of.push_back(*std::move(label));
  }
}

constexpr std::array floor_fields{
    Field<FloorConfig>{"matches_schema",
                       [](const Setting& at, FloorConfig& out) { set(out.matches_schema, at.boolean()); }},
    Field<FloorConfig>{"finished", [](const Setting& at, FloorConfig& out) { set(out.finished, at.boolean()); }},
    Field<FloorConfig>{"not_empty", [](const Setting& at, FloorConfig& out) { set(out.not_empty, at.boolean()); }},
    Field<FloorConfig>{"not_refused", [](const Setting& at, FloorConfig& out) { set(out.not_refused, at.boolean()); }},
    Field<FloorConfig>{"valid_tool_arguments",
                       [](const Setting& at, FloorConfig& out) { set(out.valid_tool_arguments, at.boolean()); }},
    Field<FloorConfig>{"length", read_length},
    Field<FloorConfig>{"one_of", read_labels},
    Field<FloorConfig>{"repair", [](const Setting& at, FloorConfig& out) { set(out.repair, at.whole(0, most_repairs)); }},
};

/// A block of the objects around a target, and the target's own over them.
struct Layers {
  std::vector<Setting> blocks;  // the outermost first; absent ones too

  Layers(const Above& above, const Setting& target, std::string_view key) {
    for (const Setting& object : above) blocks.push_back(object[key]);
    blocks.push_back(target[key]);
  }

  /// The innermost that there is, if any.
  [[nodiscard]] Setting innermost() const {
    const auto found = std::find_if(blocks.rbegin(), blocks.rend(), [](const Setting& one) { return one.present(); });
    return found == blocks.rend() ? blocks.back() : *found;
  }
  /// Where the key is given innermost, if anywhere.
  [[nodiscard]] Setting operator[](std::string_view key) const {
    const auto found = std::find_if(blocks.rbegin(), blocks.rend(), [&](const Setting& one) { return one[key].present(); });
    return (found == blocks.rend() ? blocks.back() : *found)[key];
  }
  template <class Out, std::size_t count>
  void read(const std::array<Field<Out>, count>& fields, Out& out) const {
    for (const Setting& block : blocks) read_fields(block, fields, out);
  }
};

/// Complains when both are given and the first is the longer one.
void check_order(const Setting& inner, const Setting& outer) {
  const std::optional<Duration> inner_span = inner.duration();
  const std::optional<Duration> outer_span = outer.duration();
  if (!inner_span || !outer_span || *inner_span <= *outer_span) return;
  inner.complain(fmt::format("is {}, longer than `{}`, which is {}; it must not be longer", inner.shown(),
                             outer.place(), outer.shown()));
}

void check_same(const Setting& brief, const Setting& full, bool same) {
  if (!brief.present() || !full.present() || same) return;
  brief.complain(fmt::format("is {}, and `{}` is {}: these contradict each other; give one of them", brief.shown(),
                             full.place(), full.shown()));
}

void read_timeout(const Above& above, const Setting& target, TimeoutOptions& out) {
  const Layers layers{above, target, "timeout"};
  layers.read(timeout_fields, out);
  for (const Field<TimeoutOptions>& limit : timeout_fields) {
    for (const Setting& object : above) check_order(layers[limit.key], object["deadline"]);
    for (const Setting& block : layers.blocks) {
      if (limit.key != "attempt") check_order(block[limit.key], block["attempt"]);
    }
  }
}

/// Whether the file bounds retries there.
[[nodiscard]] bool read_retry(const Above& above, const Setting& target, RetryOptions& out) {
  const Layers layers{above, target, "retry"};
  bool bounded = layers["max_attempts"].present() || layers["on"].present();
  for (std::size_t level = 0; level < above.size(); ++level) {
    const Setting max_retries = above[level]["max_retries"];
    const Setting retry_on = above[level]["retry_on"];
    const Setting& full = layers.blocks[level];
    RetryOptions brief;
    if (const auto retries = max_retries.whole(0, most_attempts - 1)) brief.max_attempts = *retries + 1;
    set(brief.on_status, statuses(retry_on));

    read_fields(full, retry_fields, out);
    check_same(max_retries, full["max_attempts"], out.max_attempts == brief.max_attempts);
    check_same(retry_on, full["on"], out.on_status == brief.on_status);
    bounded = bounded || max_retries.present() || retry_on.present();
    if (max_retries.present()) out.max_attempts = brief.max_attempts;
    if (retry_on.present()) out.on_status = brief.on_status;
  }
  read_fields(layers.blocks.back(), retry_fields, out);

  check_order(layers["initial"], layers["max"]);
  if (!layers["max"].present()) out.max = std::max(out.max, out.initial);
  if (!layers["initial"].present()) out.initial = std::min(out.initial, out.max);
  return bounded;
}

void read_breaker(const Above& above, const Setting& target, CircuitBreakerOptions& out) {
  const Layers layers{above, target, "circuit_breaker"};
  layers.read(breaker_fields, out);
  check_order(layers["open_for"], layers["open_for_max"]);
  if (!layers["open_for_max"].present()) out.open_for_max = std::max(out.open_for_max, out.open_for);
  if (!layers["open_for"].present()) out.open_for = std::min(out.open_for, out.open_for_max);
}

void read_rate_limit(const Above& above, const Setting& target, std::optional<RateLimitOptions>& out) {
  const Layers layers{above, target, "rate_limit"};
  const Setting block = layers.innermost();
  if (!block.present()) return;
  RateLimitOptions options;
  layers.read(rate_fields, options);
  const auto given = [&](std::string_view key) { return layers[key].present(); };
  if (!given("requests_per_minute") && !given("tokens_per_minute") && !given("input_tokens_per_minute") &&
      !given("output_tokens_per_minute")) {
    return block.complain("has no limit; give it requests_per_minute, tokens_per_minute, input_tokens_per_minute or "
                          "output_tokens_per_minute");
  }
  if (given("burst") && !given("requests_per_minute")) {
    layers["burst"].complain("is a burst of `requests_per_minute`, which is not given");
  }
  out = options;
}

void read_probe(const Above& above, const Setting& target, std::optional<ProbeOptions>& out) {
  const Layers layers{above, target, "probe"};
  const Setting block = layers.innermost();
  if (!block.present()) return;
  layers.read(probe_fields, out.emplace());
  if (const std::string problem = problem_with(*out); !problem.empty()) block.complain("is wrong: " + problem);
}

void read_http(const Above& above, const Setting& target, HttpOptions& out) {
  const Layers layers{above, target, "http"};
  layers.read(http_fields, out);
  // What belongs together comes from one object.
  const auto belongs_to_outer = [&](std::string_view one, std::string_view other) {
    const Setting given = layers[one];
    return given.present() && layers[other].present() && given.place().rfind('.') != std::string::npos &&
           given.place().substr(0, given.place().rfind('.')) !=
               layers[other].place().substr(0, layers[other].place().rfind('.'));
  };
  if (belongs_to_outer("client_certificate", "client_key")) out.client_key.clear();
  if (belongs_to_outer("proxy", "no_proxy")) out.no_proxy.clear();
  if (layers["client_key"].present() && !layers["client_certificate"].present()) {
    layers["client_key"].complain("is the key of a `client_certificate`, which is not given");
  }
}

/// The keys of the block, those of its blocks too.
void note_given(const Setting& at, std::string_view place, std::vector<std::string>& given) {
  for (const std::string& key : at.keys()) {
    const std::string inner = fmt::format("{}.{}", place, key);
    given.push_back(inner);
    note_given(at[key], inner, given);
  }
}

/// A block of the policy that stands in the file once.
template <class Out, std::size_t count>
void read_given(const Setting& at, std::string_view name, const std::array<Field<Out>, count>& fields,
                std::optional<Out>& out, std::vector<std::string>& given) {
  if (!at.present()) return;
  read_fields(at, fields, out.emplace());
  note_given(at, name, given);
  const std::string problem = problem_with(*out);
  if (at.is_object() && !problem.empty()) at.complain("is wrong: " + problem);
}

}  // namespace

void read_policies(const Above& above, const Setting& target, TargetConfig& out) {
  read_timeout(above, target, out.timeout);
  out.retries_given = read_retry(above, target, out.retry);
  read_breaker(above, target, out.circuit_breaker);
  read_rate_limit(above, target, out.rate_limit);
  read_probe(above, target, out.probe);
  read_http(above, target, out.model.http);
}

void read_hedge(const Setting& at, Config& out) { read_given(at, "hedge", hedge_fields, out.hedge, out.given); }
void read_recovery(const Setting& at, Config& out) {
  read_given(at, "recovery", recovery_fields, out.recovery, out.given);
}

void lay_over(const Config& config, std::optional<HedgeOptions>& hedge, RecoveryOptions& recovery) {
  const auto lay = [&]<class Options>(std::string_view key, auto Options::*member, const Options& from, Options& to) {
    const bool is_given = std::find(config.given.begin(), config.given.end(), key) != config.given.end();
    if (is_given || from.*member != Options{}.*member) to.*member = from.*member;
  };
  if (config.hedge) {
    const HedgeOptions& from = *config.hedge;
    HedgeOptions& to = hedge ? *hedge : hedge.emplace();
    lay("hedge.percentile", &HedgeOptions::percentile, from, to);
    lay("hedge.min_samples", &HedgeOptions::min_samples, from, to);
    lay("hedge.min_delay", &HedgeOptions::min_delay, from, to);
    lay("hedge.delay_without_samples", &HedgeOptions::delay_without_samples, from, to);
    lay("hedge.budget.share", &HedgeBudgetOptions::share, from.budget, to.budget);
    lay("hedge.budget.most", &HedgeBudgetOptions::most, from.budget, to.budget);
    if (from.shared_budget) to.shared_budget = from.shared_budget;
    if (from.may_repeat) to.may_repeat = from.may_repeat;
  }
  if (config.recovery) {
    const RecoveryOptions& from = *config.recovery;
    lay("recovery.max_wait", &RecoveryOptions::max_wait, from, recovery);
    lay("recovery.max_waiting", &RecoveryOptions::max_waiting, from, recovery);
    lay("recovery.probe_interval", &RecoveryOptions::probe_interval, from, recovery);
    lay("recovery.probe_interval_max", &RecoveryOptions::probe_interval_max, from, recovery);
    lay("recovery.repeat_failed", &RecoveryOptions::repeat_failed, from, recovery);
    lay("recovery.min_attempt_time", &RecoveryOptions::min_attempt_time, from, recovery);
    lay("recovery.cooldown_max", &RecoveryOptions::cooldown_max, from, recovery);
  }
}

void read_floor(const Setting& at, FloorConfig& out) {
  read_fields(at, floor_fields, out);
  FloorConfig nothing;
  nothing.repair = out.repair;
  const bool complains_already = at["length"].present() || at["one_of"].present();
  if (at.is_object() && out == nothing && !complains_already) {
    at.complain("has no check; give it one of matches_schema, finished, not_empty, not_refused, valid_tool_arguments, "
                "length, one_of");
  }
}

void read_spending(const Setting& at, SpendingConfig& out) {
  read_fields(at, spending_fields, out);
  if (at.is_object() && at.keys().empty()) at.complain("is empty; give a limit, such as per_request_usd");
}

}  // namespace backstop::inline v0::detail
