#include "measure.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <new>

namespace {

thread_local std::uint64_t allocation_count = 0;

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace

// Counts every allocation of the program; the sized and aligned forms come down to these or are not used.
void* operator new(std::size_t size) {
  ++allocation_count;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace bench {

double thread_cpu() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
double wall() { return seconds_of(CLOCK_MONOTONIC); }
std::uint64_t allocations() noexcept { return allocation_count; }

std::vector<double> medians(const std::vector<Contender>& contenders, int rounds) {
  std::vector<std::vector<double>> measured(contenders.size());
  for (const Contender& contender : contenders) contender.run();  // warm: connections, pools, caches
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) measured[i].push_back(contenders[i].run());
  }
  std::vector<double> result;
  for (std::vector<double>& values : measured) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    result.push_back(*middle);
  }
  return result;
}

void report(std::string_view name, std::string_view unit, double value) {
  fmt::print("{{\"name\": \"{}\", \"unit\": \"{}\", \"value\": {:.4g}, \"against\": null, \"ratio\": null}}\n", name, unit,
             value);
}

void report(std::string_view name, std::string_view unit, double value, std::string_view against, double other) {
  fmt::print("{{\"name\": \"{}\", \"unit\": \"{}\", \"value\": {:.4g}, \"against\": \"{}\", \"ratio\": {:.3f}}}\n", name,
             unit, value, against, value / other);
}

}  // namespace bench
