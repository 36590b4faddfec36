#include "call/client_snapshot.hpp"

#include <algorithm>

#include "backstop/handover/needs.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {
namespace {

using Snapshot = ClientSnapshot::Candidate;
using Estimate = ClientSnapshot::Estimate;

void note_standing(Snapshot& snapshot, const ChatProvider& provider, TimePoint now) {
  const Standing standing = provider.standing({}, {}, now);
  snapshot.ready = standing.ready();
  snapshot.finds_out = standing.finds_out;
  if (standing.ready()) return;
  snapshot.refuses_with = standing.why;
  snapshot.cooling_after = standing.cooling_after;
  if (standing.ready_at > now && standing.ready_at != TimePoint::max()) {
    snapshot.out_for = saturating_difference(standing.ready_at, now);
  }
}

void note_statistics(Snapshot& snapshot, const TargetStatistics& statistics, TimePoint now) {
  snapshot.in_flight = statistics.in_flight();
  if (const auto age = statistics.ttft().age(now)) snapshot.ttft = Estimate{statistics.ttft().estimate(now), *age};
  if (const auto age = statistics.token_time().age(now)) {
    snapshot.tokens_per_second = Estimate{1 / statistics.token_time().estimate(now), *age};
  }
  snapshot.output_tokens = statistics.output_tokens().value();
  const auto [lately, ever] = statistics.counts(now);
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  if (lately.ends > 0) {
    snapshot.success_share = share(lately.ends - lately.failures, lately.ends);
    snapshot.rejection_share = std::min(1.0, share(lately.rejections, lately.ends));
  }
  if (ever.ends > 0) snapshot.success_share_ever = share(ever.ends - ever.failures, ever.ends);
}

[[nodiscard]] std::vector<Snapshot> candidates_of(const Pool& pool, TimePoint now) {
  std::vector<Snapshot> snapshots;
  std::uint64_t all_picks = 0;
  Order order{pool.candidates.size()};
  order.open();
  if (pool.choosing) pool.choosing->put_ejected_last(order, now);
  for (std::size_t index = 0; index < pool.candidates.size(); ++index) {
    const Candidate& candidate = *pool.candidates[index];
    const ChatProvider* inside = &candidate.provider.get();
    Snapshot& snapshot = snapshots.emplace_back();
    snapshot.target = inside->target();
    note_standing(snapshot, *inside, now);
    const TargetStatistics* statistics = candidate.statistics;
    if (statistics == nullptr) statistics = inside->keep_statistics();
    if (statistics != nullptr) note_statistics(snapshot, *statistics, now);
    if (pool.choosing) {
      snapshot.ejected = order.rank_of(index) > 0;
      snapshot.share = pool.choosing->share_of(index, order, now);
      snapshot.picks = pool.choosing->picks(index);
    }
    all_picks += snapshot.picks;
    Layer layer = inside->layer();
    while (layer.around.size() == 1 && layer.pool == nullptr) layer = layer.around.front()->layer();
    if (layer.pool != nullptr) snapshot.members = candidates_of(*layer.pool, now);
  }
  for (Snapshot& snapshot : snapshots) {
    if (all_picks > 0) snapshot.pick_share = static_cast<double>(snapshot.picks) / static_cast<double>(all_picks);
  }
  return snapshots;
}

}  // namespace

ClientSnapshot snapshot_of(const Pool& pool, const Strategy& strategy, TimePoint now) {
  return {strategy.describe(), candidates_of(pool, now)};
}

}  // namespace backstop::inline v0::detail
