#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// A span for people and descriptions: "250ms", "1.5s", "20s", "24h", "off" for an endless one.
[[nodiscard]] inline std::string duration_text(Duration span) {
  if (span == Duration::max()) return "off";
  constexpr std::chrono::hours hour{1};
  if (span >= hour && span % hour == Duration::zero()) return fmt::format("{}h", span / hour);
  const double seconds = std::chrono::duration<double>(span).count();
  const bool small = span < std::chrono::seconds{1} && span > Duration::zero();
  return small ? fmt::format("{:.4g}ms", seconds * 1000) : fmt::format("{:.6g}s", seconds);
}

}  // namespace backstop::inline v0::detail
