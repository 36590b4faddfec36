#pragma once

#include <backstop/runtime/clock.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

/// What a provider's failures look like while an incident lasts: how likely each is, the rest is answered.
struct Weather {
  std::string_view name;
  double refused = 0;       ///< no connection
  double server_error = 0;  ///< 500
  double overloaded = 0;    ///< 529
  double rate_limited = 0;  ///< 429 with a `Retry-After`
  double silent = 0;        ///< connects, never answers
  double cut = 0;           ///< the stream breaks off half way
  double slowness = 1;      ///< how many times longer everything takes
};

/// A stretch of bad weather at one provider.
struct Incident {
  int provider = 0;
  backstop::Duration begin{};
  backstop::Duration end{};
  const Weather* weather = nullptr;
};

/// A day in the life of some providers: a few incidents each, the same for the same seed.
class Day {
 public:
  /// `together`: every incident is one of all providers at the same time. `slow`: the first provider is slow rather
  /// than down, in half of each fifth of the day, and nothing else happens.
  enum class Kind : std::uint8_t { apart, together, slow };
  Day(std::uint64_t seed, int providers, backstop::Duration length, Kind kind = Kind::apart);

  [[nodiscard]] const std::vector<Incident>& incidents() const noexcept { return incidents_; }
  [[nodiscard]] const Weather& weather(int provider, backstop::Duration at) const noexcept;

 private:
  std::vector<Incident> incidents_;
};
