#include "backstop/handover/requirement.hpp"

#include <algorithm>

namespace backstop::inline v0 {
namespace {

void add_new(std::vector<Target>& targets, const std::vector<Target>& others) {
  for (const Target& target : others) {
    if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
  }
}

}  // namespace

void Requirement::add(const Requirement& other) {
  if (other.window_above) window_above = std::max(window_above.value_or(0), *other.window_above);
  if (other.cheaper_than) cheaper_than = std::min(cheaper_than.value_or(*other.cheaper_than), *other.cheaper_than);
  priced = priced || other.priced;
  for (const FailedDomain& failed : other.failed_domains) {
    const auto same = [&](const FailedDomain& one) { return one.target == failed.target && one.why == failed.why; };
    if (std::none_of(failed_domains.begin(), failed_domains.end(), same)) failed_domains.push_back(failed);
  }
  add_new(failed, other.failed);
  add_new(tried, other.tried);
  left_some = left_some || other.left_some;
}

}  // namespace backstop::inline v0
