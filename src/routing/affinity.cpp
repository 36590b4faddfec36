#include "routing/affinity.hpp"

#include <bit>
#include <functional>
#include <utility>

#include "runtime/mixed_bits.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] std::uint64_t hash_of(std::string_view session) noexcept {
  return mixed_bits(std::hash<std::string_view>{}(session));
}

}  // namespace

Affinity::Affinity(std::size_t most, Duration forget_after)
    : forget_after_{forget_after}, entries_(most), index_(std::bit_ceil(2 * most), nobody) {}

std::optional<Affinity::Session> Affinity::find(std::string_view session, TimePoint now) const noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::lock_guard lock{mutex_};
  const std::uint32_t place = index_[slot_of(hash)];
  if (place == nobody) return std::nullopt;
  const Session& known = entries_[place].session;
  if (saturating_difference(now, known.last.at) >= forget_after_) return std::nullopt;
  return known;
}

void Affinity::note(std::string_view session, const Place& answer) noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::lock_guard lock{mutex_};
  const std::uint32_t place = index_[slot_of(hash)];
  if (place == nobody) return add(hash, answer);
  unlink(place);
  link(place);
  Session& known = entries_[place].session;
  if (saturating_difference(answer.at, known.last.at) >= forget_after_) {
    known = {answer, answer.at, {}};
    return;
  }
  if (known.last.candidate != answer.candidate) {
    known.before = known.last;
    known.since = answer.at;
  }
  known.last = answer;
}

void Affinity::add(std::uint64_t hash, const Place& answer) noexcept {
  std::uint32_t place = used_;
  if (used_ < entries_.size()) {
    ++used_;
  } else {
    place = oldest_;
    unlink(place);
    vacate(slot_of(entries_[place].hash));
  }
  entries_[place] = {hash, {answer, answer.at, {}}, nobody, nobody};
  link(place);
  index_[slot_of(hash)] = place;
}

std::size_t Affinity::slot_of(std::uint64_t hash) const noexcept {
  std::size_t slot = home_of(hash);
  while (index_[slot] != nobody && entries_[index_[slot]].hash != hash) slot = after(slot);
  return slot;
}

void Affinity::vacate(std::size_t slot) noexcept {
  // Those behind it move up, unless that would put them before their own slot.
  for (std::size_t next = after(slot); index_[next] != nobody; next = after(next)) {
    const std::size_t home = home_of(entries_[index_[next]].hash);
    const std::size_t mask = index_.size() - 1;
    if (((next - home) & mask) < ((next - slot) & mask)) continue;
    index_[slot] = index_[next];
    slot = next;
  }
  index_[slot] = nobody;
}

void Affinity::link(std::uint32_t place) noexcept {
  entries_[place].older = newest_;
  entries_[place].newer = nobody;
  (newest_ == nobody ? oldest_ : entries_[newest_].newer) = place;
  newest_ = place;
}

void Affinity::unlink(std::uint32_t place) noexcept {
  const auto [older, newer] = std::pair{entries_[place].older, entries_[place].newer};
  (older == nobody ? oldest_ : entries_[older].newer) = newer;
  (newer == nobody ? newest_ : entries_[newer].older) = older;
}

}  // namespace backstop::inline v0::detail
