#include "backstop/standing.hpp"

#include <algorithm>
#include <string>

#include "backstop/handover/needs.hpp"
#include "handover/misfit.hpp"

namespace backstop::inline v0 {
namespace {

[[nodiscard]] bool is_better(const Standing& a, const Standing& b) noexcept {
  if (a.verdict != b.verdict) return a.verdict < b.verdict;
  if (a.verdict == Standing::Verdict::ready) {
    if (a.finds_out != b.finds_out) return !a.finds_out;
    return a.soft_limited_until < b.soft_limited_until;
  }
  return a.verdict == Standing::Verdict::later && a.ready_at < b.ready_at;
}

}  // namespace

Standing Standing::of_either(const Standing& first, const Standing& second) noexcept {
  Standing both = is_better(second, first) ? second : first;
  if (first.fit() && second.fit()) {
    const Standing& probed = second.is_probed_before(first) ? second : first;
    both.probe = probed.probe;
    both.success_share = probed.success_share;
    both.failed_at = probed.failed_at;
    both.least_cost = first.least_cost && second.least_cost ? std::min(first.least_cost, second.least_cost)
                      : first.least_cost                    ? first.least_cost
                                                            : second.least_cost;
    both.worst_cost =
        first.worst_cost && second.worst_cost ? std::max(first.worst_cost, second.worst_cost) : std::nullopt;
  }
  both.targets = first.targets + second.targets;
  both.ready_targets = (first.ready() ? first.ready_targets : 0) + (second.ready() ? second.ready_targets : 0);
  return both;
}

Error refusal_of(const Standing& standing, const ChatRequest& request, const Needs& needs, TimePoint now) {
  Error error{standing.why, std::string{standing.what}};
  if (standing.target != nullptr) error.target = *standing.target;
  if (standing.verdict == Standing::Verdict::unfit) {
    if (standing.target != nullptr) {
      if (std::optional<Error> figures = unfit(*standing.target, request, needs)) return std::move(*figures);
    }
    return error;
  }
  if (standing.cooling_after) error.message.append(" after ").append(to_string(*standing.cooling_after));
  if (standing.ready_at == TimePoint::max()) {
    error.message += " until further notice";
  } else if (standing.ready_at > now) {
    error.retry_after = saturating_difference(standing.ready_at, now);
  }
  return error;
}

}  // namespace backstop::inline v0
