#include "backstop/providers/credentials.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "environment.hpp"
#include "key_ring.hpp"
#include "request_headers.hpp"

namespace backstop::inline v0 {

std::optional<detail::KeyRing::Soonest> detail::KeyRing::none_ready(TimePoint now) const noexcept {
  std::optional<Soonest> soonest;
  for (std::size_t index = 0; index < size(); ++index) {
    const auto resting = cooldowns_[index].active(now);
    if (!resting) return std::nullopt;
    if (!soonest || resting->until < soonest->resting.until) soonest = Soonest{index, *resting};
  }
  return soonest;
}

std::size_t Credentials::size() const noexcept { return ring_ ? ring_->size() : 0; }

std::vector<std::optional<Credentials::Resting>> Credentials::resting(TimePoint now) const {
  std::vector<std::optional<Resting>> states(size());
  for (std::size_t index = 0; index < states.size(); ++index) {
    if (const auto active = ring_->cooldown(index).active(now)) states[index] = Resting{active->until, active->why};
  }
  return states;
}

void Credentials::reset() const noexcept {
  for (std::size_t index = 0; index < size(); ++index) ring_->cooldown(index).clear();
}

Credentials credentials(std::vector<std::string> keys) {
  if (keys.empty()) throw std::invalid_argument{"credentials: give at least one key"};
  for (std::size_t index = 0; index < keys.size(); ++index) {
    keys[index] = detail::trim(keys[index]);
    const std::string& key = keys[index];
    const auto complain = [index](std::string_view what) {
      throw std::invalid_argument{fmt::format("credentials: key {} {}", index + 1, what)};
    };
    if (key.empty()) complain("is empty");
    if (!detail::is_header_value(key)) complain("holds line breaks or other control characters");
    const auto end = keys.begin() + static_cast<std::ptrdiff_t>(index);
    if (std::find(keys.begin(), end, key) != end) complain("is given twice");
  }
  return detail::KeyRing::handle(std::make_shared<const detail::KeyRing>(std::move(keys)));
}

Credentials credentials_from_env(const std::vector<std::string>& variables) {
  std::vector<std::string> keys;
  for (const std::string& variable : variables) {
    const std::string_view key = detail::from_environment(variable);
    if (key.empty()) {
      throw std::invalid_argument{
          fmt::format("credentials: the environment variable {} is not set, or empty", variable)};
    }
    keys.emplace_back(key);
  }
  return credentials(std::move(keys));
}

Credentials credentials_from(KeyFunction function) {
  if (!function) throw std::invalid_argument{"credentials_from: the function is empty"};
  return detail::KeyRing::handle(std::make_shared<const detail::KeyRing>(std::move(function)));
}

}  // namespace backstop::inline v0
