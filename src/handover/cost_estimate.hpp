#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "backstop/chat/money.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/chat/usage.hpp"
#include "backstop/handover/needs.hpp"

namespace backstop::inline v0 {

/// What a model is taken to write at most when neither the request nor its facts say.
inline constexpr std::int64_t assumed_output_tokens = 4096;

/// What a target's tokens cost: its price; nothing on this machine unless it is priced; empty when that is not known.
[[nodiscard]] inline std::optional<Price> price_of(const Target& target) noexcept {
  const ModelFacts& facts = target.facts();
  if (!facts.price && facts.local) return Price{};
  return facts.price;
}

/// The same to caps around it, which may have a price for what has none.
[[nodiscard]] inline std::optional<Price> price_of(const Target& target, const Needs& needs) noexcept {
  const std::optional<Price> known = price_of(target);
  return known || needs.assume_price == nullptr ? known : *needs.assume_price;
}

/// The output limit of a send for which the request has none, where less than the worst case may be spent on it.
inline constexpr std::int64_t least_limited_output = 256;

/// What is sent. `writes_cache`: something of it is marked for the provider's prompt cache.
struct EstimatedInput {
  std::int64_t tokens = 0;
  bool writes_cache = false;

  /// All of it may be written into the cache, where that is dearer.
  [[nodiscard]] Usage usage(const Price& price) const noexcept {
    Usage usage;
    usage.input_tokens = tokens;
    if (writes_cache && price.cache_write && *price.cache_write > price.input) usage.cache_write_tokens = tokens;
    return usage;
  }
};

/// What a send to this target is reserved for: the estimated input, and the output limit (`output_limit_of`), else the
/// most that the model writes.
[[nodiscard]] inline Usage worst_usage(const Target& target, std::optional<std::int64_t> output_limit,
                                       const EstimatedInput& input) noexcept {
  Usage usage = input.usage(price_of(target).value_or(Price{}));
  usage.output_tokens = output_limit.value_or(target.facts().max_output_tokens.value_or(assumed_output_tokens));
  return usage;
}

/// What must be left for a send to be worth making: as `worst_usage`, but where there is no output limit that of the
/// least answer, or all that the model writes if that is less.
[[nodiscard]] inline Usage least_usage(const Target& target, std::optional<std::int64_t> output_limit,
                                       const EstimatedInput& input) noexcept {
  Usage usage = worst_usage(target, output_limit, input);
  if (!output_limit) usage.output_tokens = std::min(*usage.output_tokens, least_limited_output);
  return usage;
}

[[nodiscard]] inline EstimatedInput input_of(const Needs& needs) noexcept {
  return {needs.input_tokens, needs.writes_cache};
}

}  // namespace backstop::inline v0
