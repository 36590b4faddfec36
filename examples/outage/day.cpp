#include "day.hpp"

#include <algorithm>
#include <array>
#include <random>

using namespace std::chrono_literals;

namespace {

// Even a good day loses one request in two hundred.
constexpr Weather fair{.name = "fair", .server_error = 0.003, .overloaded = 0.001, .cut = 0.001};

constexpr Weather slow{.name = "slow", .server_error = 0.003, .overloaded = 0.001, .cut = 0.001, .slowness = 4};

constexpr std::array<Weather, 6> storms{{
    {.name = "down", .refused = 0.7, .server_error = 0.3},
    {.name = "errors", .server_error = 0.6},
    {.name = "overloaded", .overloaded = 0.8, .slowness = 2},
    {.name = "rate limited", .rate_limited = 1},
    {.name = "silent", .silent = 0.9},
    {.name = "cutting streams", .server_error = 0.1, .cut = 0.5, .slowness = 3},
}};

}  // namespace

Day::Day(std::uint64_t seed, int providers, backstop::Duration length, Kind kind) {
  std::mt19937_64 random{seed};  // its numbers are the same everywhere; the standard's distributions are not
  constexpr int incidents_each = 5;
  const bool alone = kind != Kind::apart;
  for (int provider = 0; provider < (alone ? 1 : providers); ++provider) {
    for (int i = 0; i < incidents_each; ++i) {
      // One in each fifth of the day, so that a provider has one trouble at a time, for 4 to 40 of 1440 minutes.
      const backstop::Duration fifth = length / incidents_each;
      const backstop::Duration span =
          kind == Kind::slow ? fifth / 2 : length / 1440 * (4 + static_cast<std::int64_t>(random() % 37));
      const backstop::Duration begin =
          i * fifth + (fifth - span) / 1000 * static_cast<std::int64_t>(random() % 1000);
      const Weather& weather = kind == Kind::slow ? slow : storms[random() % storms.size()];
      incidents_.push_back({provider, begin, begin + span, &weather});
    }
  }
  for (int provider = 1; kind == Kind::together && provider < providers; ++provider) {
    for (int i = 0; i < incidents_each; ++i) {
      Incident incident = incidents_[static_cast<std::size_t>(i)];
      incident.provider = provider;
      incident.weather = &storms[random() % storms.size()];
      incidents_.push_back(incident);
    }
  }
}

const Weather& Day::weather(int provider, backstop::Duration at) const noexcept {
  const auto found = std::find_if(incidents_.begin(), incidents_.end(), [&](const Incident& incident) {
    return incident.provider == provider && incident.begin <= at && at < incident.end;
  });
  return found == incidents_.end() ? fair : *found->weather;
}
