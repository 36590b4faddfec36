#include "backstop/handover/requirement.hpp"

#include <algorithm>

namespace backstop::inline v0 {

const Requirement::Tried* Requirement::find_tried(const Target& target) const noexcept {
  const auto place = std::find_if(tried.begin(), tried.end(), [&](const Tried& one) { return one.target == target; });
  return place != tried.end() ? &*place : nullptr;
}

void Requirement::note_tried(const Target& target, TimePoint at) {
  const auto place = std::find_if(tried.begin(), tried.end(), [&](const Tried& one) { return one.target == target; });
  if (place == tried.end()) {
    tried.push_back({target, at});
  } else if (at >= place->at) {
    *place = {target, at};
  }
}

void Requirement::add(const Requirement& other) {
  if (other.window_above) window_above = std::max(window_above.value_or(0), *other.window_above);
  if (other.cheaper_than) cheaper_than = std::min(cheaper_than.value_or(*other.cheaper_than), *other.cheaper_than);
  priced = priced || other.priced;
  for (const FailedDomain& domain : other.failed_domains) {
    const auto same = [&](const FailedDomain& one) { return one.target == domain.target && one.why == domain.why; };
    if (std::none_of(failed_domains.begin(), failed_domains.end(), same)) failed_domains.push_back(domain);
  }
  for (const Target& target : other.failed) {
    if (std::find(failed.begin(), failed.end(), target) == failed.end()) failed.push_back(target);
  }
  for (const Target& target : other.failed_as_asked) {
    if (std::find(failed_as_asked.begin(), failed_as_asked.end(), target) == failed_as_asked.end()) {
      failed_as_asked.push_back(target);
    }
  }
  for (const Tried& one : other.tried) {
    if (!one.may_be_asked) note_tried(one.target, one.at);
  }
  left_some = left_some || other.left_some;
}

}  // namespace backstop::inline v0
