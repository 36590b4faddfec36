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

std::optional<Affinity::Session> Affinity::find(std::string_view session, TimePoint now) const noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::size_t from = group_of(hash);
  const std::lock_guard lock{mutex_};
  for (std::size_t i = from; i < std::min(from + group, entries_.size()); ++i) {
    const Entry& entry = entries_[i];
    if (!entry.is(hash)) continue;
    if (saturating_difference(now, entry.session.last.at) >= forget_after_) return std::nullopt;
    return entry.session;
  }
  return std::nullopt;
}

void Affinity::note(std::string_view session, const Place& answer) noexcept {
  const std::uint64_t hash = hash_of(session);
  const std::size_t from = group_of(hash);
  const std::lock_guard lock{mutex_};
  std::size_t place = from;
  for (std::size_t i = from; i < std::min(from + group, entries_.size()); ++i) {
    if (entries_[i].is(hash)) {
      place = i;
      break;
    }
    if (entries_[i].session.last.at < entries_[place].session.last.at) place = i;
  }
  Entry& entry = entries_[place];
  if (!entry.is(hash) || saturating_difference(answer.at, entry.session.last.at) >= forget_after_) {
    entry = {hash, {answer, answer.at, {}}};
    return;
  }
  Session& known = entry.session;
  if (known.last.candidate != answer.candidate) {
    known.before = known.last;
    known.since = answer.at;
  }
  known.last = answer;
}

}  // namespace backstop::inline v0::detail
