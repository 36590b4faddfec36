#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>

namespace stacks {

/// Random numbers that are the same on every platform (splitmix64), unlike those of std::uniform_int_distribution.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_{seed * 0x9e3779b97f4a7c15U + 0x632be59bd9b4e019U} {}

  [[nodiscard]] std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  /// In [0, bound).
  [[nodiscard]] int below(int bound) noexcept {
    return bound <= 1 ? 0 : static_cast<int>(next() % static_cast<std::uint64_t>(bound));
  }
  /// In [least, most].
  [[nodiscard]] int between(int least, int most) noexcept { return least + below(most - least + 1); }
  [[nodiscard]] bool one_in(int times) noexcept { return below(times) == 0; }
  template <class T>
  [[nodiscard]] T pick(std::initializer_list<T> values) noexcept {
    return *std::next(values.begin(), below(static_cast<int>(values.size())));
  }

 private:
  std::uint64_t state_;
};

}  // namespace stacks
