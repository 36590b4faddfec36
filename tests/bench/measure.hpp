#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// CPU time of this thread, in nanoseconds: what the fault servers' threads use does not count.
[[nodiscard]] double thread_cpu();
/// Wall time in nanoseconds.
[[nodiscard]] double wall();
/// Heap allocations of this thread so far.
[[nodiscard]] std::uint64_t allocations() noexcept;

/// One way of doing the work that is compared: `run` does it once and gives what was measured, per unit of work.
struct Contender {
  std::string_view name;
  std::function<double()> run;
};

/// The median of each contender over interleaved rounds, so that what disturbs the machine disturbs all alike.
[[nodiscard]] std::vector<double> medians(const std::vector<Contender>& contenders, int rounds);

/// One JSON line: {"name", "unit", "value", "against", "ratio"}.
void report(std::string_view name, std::string_view unit, double value);
void report(std::string_view name, std::string_view unit, double value, std::string_view against, double other);

}  // namespace bench
