#include "routing/affinity.hpp"

#include <algorithm>
#include <functional>

#include "runtime/mixed_bits.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] std::uint64_t hash_of(std::string_view session) noexcept {
  return mixed_bits(std::hash<std::string_view>{}(session));
}

}  // namespace

Affinity::Affinity(std::size_t most, Duration forget_after) : forget_after_{forget_after}, entries_(most) {}

std::size_t Affinity::group_of(std::uint64_t session) const noexcept {
  const std::size_t width = std::min(group, entries_.size());
  return static_cast<std::size_t>(session % (entries_.size() - width + 1));
}

std::optional<std::size_t> Affinity::find(std::string_view session, TimePoint now) const noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::size_t from = group_of(hash);
  const std::lock_guard lock{mutex_};
  for (std::size_t i = from; i < std::min(from + group, entries_.size()); ++i) {
    const Entry& entry = entries_[i];
    if (entry.session != hash || entry.noted == TimePoint::min()) continue;
    if (saturating_difference(now, entry.noted) >= forget_after_) return std::nullopt;
    return entry.candidate;
  }
  return std::nullopt;
}

void Affinity::note(std::string_view session, std::size_t candidate, TimePoint now) noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::size_t from = group_of(hash);
  const std::lock_guard lock{mutex_};
  std::size_t place = from;
  for (std::size_t i = from; i < std::min(from + group, entries_.size()); ++i) {
    const Entry& entry = entries_[i];
    if (entry.session == hash && entry.noted != TimePoint::min()) {
      place = i;
      break;
    }
    if (entry.noted < entries_[place].noted) place = i;
  }
  entries_[place] = {hash, now, candidate};
}

}  // namespace backstop::inline v0::detail
