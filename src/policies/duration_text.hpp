#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// A span for people and descriptions: "250ms", "1.5s", "20s", "off" for an endless one.
[[nodiscard]] inline std::string duration_text(Duration span) {
  if (span == Duration::max()) return "off";
  const double seconds = std::chrono::duration<double>(span).count();
  const bool small = span < std::chrono::seconds{1} && span > Duration::zero();
  return small ? fmt::format("{:.4g}ms", seconds * 1000) : fmt::format("{:.6g}s", seconds);
}

}  // namespace backstop::inline v0::detail
