#pragma once

#include <cstdint>

namespace backstop::inline v0::detail {

/// What SplitMix64 adds to its state between two numbers.
inline constexpr std::uint64_t mixing_step = 0x9e3779b97f4a7c15U;

/// 64 bits that look random, one to one with those given: the output of SplitMix64 for that state.
[[nodiscard]] constexpr std::uint64_t mixed_bits(std::uint64_t state) noexcept {
  state = (state ^ (state >> 30U)) * 0xbf58476d1ce4e5b9U;
  state = (state ^ (state >> 27U)) * 0x94d049bb133111ebU;
  return state ^ (state >> 31U);
}

}  // namespace backstop::inline v0::detail
