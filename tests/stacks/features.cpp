#include "stacks/features.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace stacks {
namespace {

using F = Feature;

constexpr std::array<FeatureRow, feature_count> table{{
    {F::nested, "nested", 45},
    {F::around_clients, "around-clients", 60},
    {F::client_options, "client-options", 50},
    {F::retry, "retry", 40},
    {F::timeout, "timeout", 40},
    {F::breaker, "breaker", 25},
    {F::cap_request, "cap-request", 15},
    {F::cap_budget, "cap-budget", 20},
    {F::rate_limit, "rate-limit", 15},
    {F::bulkhead, "bulkhead", 20},
    {F::adaptive, "adaptive", 8},
    {F::cache, "cache", 10},
    {F::single_flight, "single-flight", 15},
    {F::before, "before", 8},
    {F::after, "after", 8},
    {F::around, "around", 12},
    {F::decorator, "decorator", 15},
    {F::probe, "probe", 12},
    {F::floor, "floor", 15},
    {F::hedge, "hedge", 12},
    {F::strategy, "strategy", 30},
    {F::after_rejects, "after-rejects", 30},
    {F::throwing_intercept, "throwing-intercept", 30},
    {F::throwing_decorator, "throwing-decorator", 15},
    {F::custom_provider, "custom-provider", 12},
    {F::throwing_provider, "throwing-provider", 50},
    {F::emit_blindly, "emit-blindly", 30},
    {F::faults, "faults", 75},
    {F::content_faults, "content-faults", 60},
    {F::many_pieces, "many-pieces", 10},
    {F::misestimates, "misestimates", 8},
    {F::misfits, "misfits", 30},
    {F::several_calls, "several-calls", 60},
    {F::stream, "stream", 60},
    {F::leave_stream, "leave-stream", 30},
    {F::slow_reader, "slow-reader", 25},
    {F::start, "start", 60},
    {F::sink, "sink", 50},
    {F::slow_sink, "slow-sink", 25},
    {F::cancel, "cancel", 25},
    {F::destroy, "destroy", 20},
    {F::destroy_in_callback, "destroy-in-callback", 15},
    {F::on_done, "on-done", 60},
    {F::on_done_throws, "on-done-throws", 15},
    {F::on_done_starts, "on-done-starts", 15},
    {F::on_done_chats, "on-done-chats", 15},
    {F::on_done_destroys, "on-done-destroys", 15},
    {F::sink_starts, "sink-starts", 12},
    {F::sink_chats, "sink-chats", 12},
    {F::sink_cancels, "sink-cancels", 12},
    {F::async, "async", 50},
    {F::async_destroy, "async-destroy", 25},
    {F::degrade, "degrade", 25},
    {F::own_parameters, "own-parameters", 20},
    {F::call_around, "call-around", 12},
    {F::call_targets, "call-targets", 12},
}};

template <class Each>
void for_each_name(std::string_view names, Each each) {
  while (!names.empty()) {
    const std::size_t comma = names.find(',');
    const std::string_view name = names.substr(0, comma);
    names = comma == std::string_view::npos ? std::string_view{} : names.substr(comma + 1);
    if (name.empty()) continue;
    bool found = false;
    for (const FeatureRow& row : table) {
      if (row.name != name) continue;
      found = true;
      each(row);
    }
    if (!found) throw std::invalid_argument{"no such feature of the stack fuzzer: " + std::string{name}};
  }
}

}  // namespace

const std::array<FeatureRow, feature_count>& feature_table() noexcept { return table; }

Features::Features() noexcept {
  for (const FeatureRow& row : table) weights_[static_cast<std::size_t>(row.feature)] = row.weight;
}

void Features::switch_off(std::string_view names) {
  for_each_name(names, [this](const FeatureRow& row) { weights_[static_cast<std::size_t>(row.feature)] = 0; });
}

Features Features::from_environment() {
  Features features;
  if (const char* only = std::getenv("BACKSTOP_STACKS_ONLY")) {
    features.weights_.fill(0);
    for_each_name(only, [&](const FeatureRow& row) {
      features.weights_[static_cast<std::size_t>(row.feature)] = row.weight;
    });
  }
  if (const char* without = std::getenv("BACKSTOP_STACKS_WITHOUT")) features.switch_off(without);
  return features;
}

}  // namespace stacks
