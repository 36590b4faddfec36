#include "routing/walk.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "backstop/chat/usage.hpp"
#include "handover/cost_estimate.hpp"
#include "handover/own_parameters.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0::detail {
namespace {

/// A failure that the targets of one failure domain have in common: of their account, their gateway, their region.
[[nodiscard]] bool is_of_the_domain(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::connect_failed:
    case ErrorKind::rate_limited:
    case ErrorKind::quota_exhausted:
    case ErrorKind::overloaded:
    case ErrorKind::authentication:
    case ErrorKind::permission: return true;
    default: return false;
  }
}

[[nodiscard]] bool contains(const std::vector<Target>& targets, const Target& target) noexcept {
  return std::find(targets.begin(), targets.end(), target) != targets.end();
}

/// Why each target behind it cannot take what it would be asked; returns how many there are.
int list_unfit(const ChatProvider& provider, const Offer& offer, TimePoint now, std::string& text) {
  const Layer layer = provider.layer();
  if (layer.around.empty()) {
    const Standing standing = provider.standing(*offer.request, *offer.needs, now);
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: {}", provider.target().name(),
                        standing.ready() ? "what stands around it refuses"
                                         : refusal_of(standing, *offer.request, *offer.needs, now).message);
    return 1;
  }
  int targets = 0;
  for (const ChatProvider* next : layer.around) targets += list_unfit(*next, offer, now, text);
  return targets;
}

}  // namespace

Walk::Walk(const Pool& pool, const ChatRequest& request, const CallContext& context, TimePoint now,
           Choosing::Mode mode, std::uint64_t ahead)
    : pool_{&pool},
      candidates_{&pool.candidates},
      came_as_{&request},
      request_{&request},
      context_{&context},
      text_so_far_{context.hint().text_so_far},
      requirement_{&context.requirement()},
      choosing_{pool.chooser()},
      needs_{needs_now()},
      order_{candidates_->size()} {
  if (choosing_ != nullptr) choosing_->decide(order_, request, needs_, now, mode, ahead);
  if (!context.hint().after_all) return;
  position_ = candidates_->size();
  for (std::size_t place = 0; place < candidates_->size(); ++place) left_to_others_.push_back(order_.at(place));
}

Needs Walk::needs_now() const noexcept {
  Needs needs = needs_of(*request_);
  needs.prefill = text_so_far_ != nullptr;
  needs.reduced = context_->hint().reduced;
  needs.shortened = context_->hint().shortened;
  needs.whole = context_->hint().whole;
  needs.appended = context_->hint().appended;
  if (request_ != came_as_) {
    if (needs.whole == nullptr) needs.whole = came_as_;
    needs.appended += request_->messages.size() - came_as_->messages.size();
  }
  needs.requirement = requirement_;
  needs.held = context_->held();
  return needs;
}

bool Walk::someone_would_take(const ChatRequest& request) const {
  const TimePoint now = context_->now();
  Needs needs = needs_of(request);
  needs.requirement = requirement_;
  needs.held = context_->held();
  for (std::size_t index = 0; index < candidates_->size(); ++index) {
    if (has_failed(index) || is_barred(index) || standing_of(index, now).fit()) continue;
    if (candidate(index).provider.standing(request, needs, now).ready()) return true;
  }
  return false;
}

std::optional<std::size_t> Walk::next() {
  const TimePoint now = context_->now();
  do {
    while (const std::optional<std::size_t> index = next_turn(now)) {
      const std::optional<Error> out = obstacle(*index, now);
      if (!out) return index;
      context_->note_skipped(out->target, *out);
    }
    if (const std::optional<std::size_t> index = next_left(now)) return index;
  } while (take_rung());
  return std::nullopt;
}

std::optional<std::size_t> Walk::next_turn(TimePoint now) {
  after_all_ = false;
  while (position_ < candidates_->size()) {
    const std::size_t index = order_.at(position_++);
    if (has_turn(index, now)) return index;
  }
  return std::nullopt;
}

std::optional<std::size_t> Walk::next_left(TimePoint now) {
  // While a client around has others, it is theirs.
  while (revisited_ < left_to_others_.size() && (context_->hint().after_all || !others_around())) {
    const std::size_t index = left_to_others_[revisited_++];
    if (has_failed(index)) continue;
    const Standing standing = standing_of(index, now);
    if (standing.ready()) {
      after_all_ = true;
      return index;
    }
    add_refusal(refusal(index, standing, now));
  }
  return std::nullopt;
}

bool Walk::has_turn(std::size_t index, TimePoint now) {
  if (level() > 0) {
    if (!descent_->admits(index, needs_, now)) return false;
    forget_failure(index);
    return true;
  }
  if (has_failed(index) || is_barred(index)) return false;
  // Of a client other targets may do; of itself it says so in its standing.
  if (descent_ && !candidate(index).is_pool && descent_->lacks_something(index)) return false;
  if (pool_->ladder.early() && !standing_of(index, now).ready()) {
    static_cast<void>(descent().admits_on_some_level(index, needs_, now));
  }
  return true;
}

bool Walk::take_rung() {
  if (!pool_->degrades()) return false;
  // A target that needs no rung goes before, wherever it stands. When it has failed this client is asked again.
  if (!pool_->ladder.early() && !context_->hint().may_degrade && others_around()) return false;
  if (!descent().go_down()) return false;
  position_ = 0;
  return true;
}

Descent& Walk::descent() {
  if (descent_) return *descent_;
  descent_ = std::make_unique<Descent>(pool_->ladder, *candidates_, *request_);
  for (const auto& [ladder, summary] : context_->state().summaries) {
    if (ladder == &pool_->ladder) descent_->use(summary);
  }
  return *descent_;
}

std::optional<Walk::SummaryWanted> Walk::summary_wanted(std::size_t index) const noexcept {
  const std::vector<Message>* turns = descent_ ? descent_->to_summarize(index) : nullptr;
  if (turns == nullptr) return std::nullopt;
  for (const Ladder::Reduction& rung : pool_->ladder.reductions()) {
    if (rung.summarized_by) return SummaryWanted{&*rung.summarized_by, turns, rung.options.summary_tokens};
  }
  return std::nullopt;
}

void Walk::note_summary(std::size_t index, HistorySummary summary, TimePoint now) {
  auto made = std::make_shared<const HistorySummary>(std::move(summary));
  context_->state().summaries.emplace_back(&pool_->ladder, made);
  descent_->use(std::move(made));
  descent_->renew_offer(index, needs_, now);
}

std::string Walk::why_all_are_unfit(TimePoint now) const {
  std::string text;
  int targets = 0;
  for (std::size_t place = 0; place < candidates_->size(); ++place) {
    const std::size_t index = order_.at(place);
    if (standing_of(index, now).fit()) return {};
    targets += list_unfit(candidate(index).provider.get(), offer(index), now, text);
  }
  return targets > 1 ? "no target can take the request: " + text : std::string{};
}

void Walk::forget_failure(std::size_t index) noexcept {
  std::erase_if(notes_, [index](const Note& note) { return note.index == index; });
  std::erase(barred_, index);
}

int Walk::reached_by_rungs() const {
  if (!pool_->degrades()) return 0;
  const TimePoint now = context_->now();
  const Needs least = pool_->ladder.needs_after(needs_, pool_->ladder.all());
  int reached = 0;
  for (std::size_t index = 0; index < candidates_->size(); ++index) {
    if (standing_of(index, now).ready()) continue;
    const Standing standing = candidate(index).provider.standing(*request_, least, now);
    if (standing.ready()) reached += standing.ready_targets;
  }
  return reached;
}

std::optional<Error> Walk::obstacle(std::size_t index, TimePoint now) {
  const Standing standing = standing_of(index, now);
  if (!standing.ready()) {
    Error error = refusal(index, standing, now);
    add_refusal(error);
    if (standing.fit()) {
      leave_to_others(index);  // it may have come back when these have failed
      note_way_given(index);
    }
    if (standing.cooling_after && standing.target != nullptr && is_of_the_domain(*standing.cooling_after) &&
        !standing.target->facts().failure_domain.empty()) {
      requirement_->failed_domains.push_back({*standing.target, *standing.cooling_after});
    }
    return error;
  }
  if (standing.soft_limited_until <= now || !other_goes_first(index, now)) return std::nullopt;
  leave_to_others(index);
  note_way_given(index);
  Error error{ErrorKind::local_limit, fmt::format("its limits are used up for another {}, as its last answer said",
                                                  rounded_text(standing.soft_limited_until - now))};
  if (standing.target != nullptr) error.target = *standing.target;
  return error;
}

std::optional<std::size_t> Walk::beside(std::size_t asked, const Target* target) const {
  // Of several targets only the send says which one is asked.
  if (target == nullptr && !candidate(asked).is_pool) target = &candidate(asked).provider.target();
  std::string_view domain;
  if (target != nullptr) domain = target->facts().failure_domain;
  for (std::size_t place = order_.place_of(asked) + 1; place < candidates_->size(); ++place) {
    const std::size_t index = order_.at(place);
    if (has_failed(index) || is_barred(index)) continue;
    const Standing standing = standing_of(index, context_->now());
    const bool same_domain =
        !domain.empty() && standing.target != nullptr && standing.target->facts().failure_domain == domain;
    if (standing.ready() && !standing.finds_out && !same_domain && standing.soft_limited_until <= context_->now()) {
      return index;
    }
  }
  return std::nullopt;
}

int Walk::ready_behind() const {
  int ready = 0;
  for (std::size_t place = position_; place < candidates_->size(); ++place) {
    const std::size_t index = order_.at(place);
    if (has_failed(index) || is_barred(index)) continue;
    const Standing standing = standing_of(index, context_->now());
    if (standing.ready()) ready += standing.ready_targets;
  }
  return ready;
}

RoutingHint Walk::hint(std::size_t index, int to_come, bool probes) const {
  RoutingHint hint = hint_of_others(to_come, probes);
  const bool first = order_.place_of(index) == 0 && revisited_ == 0 && !asked_one_ && !begun_again_;
  hint.first_choice = hint.first_choice && first;
  hint.pick = nullptr;
  const Needs& asked = *offer(index).needs;
  hint.reduced = asked.reduced;
  hint.shortened = asked.shortened;
  hint.whole = asked.whole;
  hint.appended = asked.appended;
  hint.may_degrade = asked.may_degrade;
  return hint;
}

RoutingHint Walk::hint_of_others(int to_come, bool probes) const {
  RoutingHint hint = outer_hint();
  hint.in_client = true;
  hint.other_ready = hint.other_ready || to_come > 0;
  // Sends and time are kept for those, too; but while it may still succeed with all, none of them is the better one.
  if (!probes) to_come += reached_by_rungs();
  // One at least is for whoever is asked now.
  const int most_kept = std::min(context_->state().attempts_left, hint.kept_outside + context_->sends_left()) - 1;
  hint.kept_sends = std::min(hint.kept_sends + to_come, most_kept);
  // No time is kept for more of them than can be asked.
  hint.targets_to_come = std::min(hint.targets_to_come + to_come, std::max(most_kept, 0));
  hint.forced_probe = hint.forced_probe || probes;
  hint.after_all = !probes && after_all_;
  hint.text_so_far = text_so_far_;
  hint.around = this;
  return hint;
}

RoutingHint Walk::hint_beside(std::size_t index) const {
  const Standing standing = standing_of(index, context_->now());
  return hint(index, std::max(0, ready_behind() - standing.ready_targets), false);
}

RoutingHint Walk::outer_hint() const {
  RoutingHint hint = context_->hint();
  if (hint.around == nullptr || hint.forced_probe) return hint;
  const RoutingHint now = hint.around->hint_of_others(hint.around->ready_behind(), false);
  hint.other_ready = now.other_ready;
  hint.kept_outside = hint.own_limit ? now.kept_sends : now.kept_outside;
  hint.kept_sends = now.kept_sends;
  if (hint.whole_deadline == now.whole_deadline) hint.targets_to_come = now.targets_to_come;
  return hint;
}

bool Walk::others_around() const {
  if (outer_hint().other_ready) return true;
  for (const Walk* walk = context_->hint().around; walk != nullptr; walk = walk->context_->hint().around) {
    if (walk->revisited_ < walk->left_to_others_.size()) return true;
  }
  return false;
}

bool Walk::note_failure(std::size_t index, const Error& error, bool fall_back_on_content_filter, bool left_some) {
  asked_one_ = true;
  const bool is_pool = candidate(index).is_pool;
  const ErrorKind kind = error.cause.value_or(error.kind);
  const bool as_asked = kind == ErrorKind::unsupported_capability || kind == ErrorKind::context_window_exceeded;
  std::vector<Target>& failed = as_asked ? requirement_->failed_as_asked : requirement_->failed;
  bool passes = passes_with_time(error);
  if (is_pool) {
    // One target of several, which is not asked again: how it stands with the others, the client says.
    passes = passes || contains(failed, error.target);
  } else {
    const Target& target = candidate(index).provider.target();
    if (passes) {
      requirement_->note_tried(target, context_->now());
    } else if (!contains(failed, target)) {
      failed.push_back(target);
    }
  }
  // Of a client that has left some of its targets to others these may be asked when all others have failed.
  const bool has_more = left_some && standing_of(index, context_->now()).fit();
  if (has_more) leave_to_others(index);
  if (as_asked && pool_->degrades()) descent().note_failure(index, error);
  // A target is out no longer than its cooldown is.
  std::optional<Duration> again_after = error.retry_after;
  if (again_after) again_after = std::min(*again_after, context_->hint().cooldown_max);
  notes_.push_back({index, context_->now(), !has_more, passes, again_after});
  if (!passes && !has_more) barred_.push_back(index);
  const ModelFacts& facts = error.target.facts();
  if (!facts.failure_domain.empty() && is_of_the_domain(kind)) {
    requirement_->failed_domains.push_back({error.target, kind});
  }
  const FallbackRule rule = traits_of(kind).fallback;
  if (rule == FallbackRule::yes || rule == FallbackRule::preferred) note_way_given(index);
  switch (rule) {
    case FallbackRule::never: return false;
    case FallbackRule::yes:
    case FallbackRule::preferred:
    case FallbackRule::with_capability: return true;
    case FallbackRule::opt_in: return fall_back_on_content_filter;
    case FallbackRule::larger_window:
      if (facts.context_window) requirement_->window_above = std::max(requirement_->window_above, facts.context_window);
      return true;
    case FallbackRule::cheaper: must_be_cheaper_than(error.target, offer(index)); return true;
  }
  return false;
}

void Walk::set_failure(Error error, bool real) {
  const FallbackRule rule = traits_of(error.kind).fallback;
  const bool unfit = rule == FallbackRule::with_capability || rule == FallbackRule::larger_window;
  if (!real && unfit) return add_refusal(error);  // as of a target that is passed over
  if (failure_.has_value() && failure_is_real_ && !real) return;
  failure_ = Boxed<Error>{std::move(error)};
  failure_is_real_ = real;
}

void Walk::must_be_cheaper_than(const Target& target, const Offer& asked) {
  requirement_->priced = true;
  const std::optional<Price> price = price_of(target);
  if (!price) return;
  const auto limit = output_limit_of(target, *asked.request, GivenUp{*asked.needs});
  const Money cost = cost_of(least_usage(target, limit, input_of(*asked.needs)), *price);
  requirement_->cheaper_than = std::min(requirement_->cheaper_than.value_or(cost), cost);
}

void Walk::note_refusal(std::size_t index, const Error& error, bool others_ready) {
  asked_one_ = true;
  // What does not say when it ends may be over at any moment, or never: it is waited for only where the provider
  // stands so.
  notes_.push_back({index, context_->now(), false, error.retry_after.has_value(), error.retry_after});
  add_refusal(error);
  note_way_given(index);
  if (others_ready) leave_to_others(index);
}

void Walk::leave_to_others(std::size_t index) {
  requirement_->left_some = true;
  const bool known = std::find(left_to_others_.begin(), left_to_others_.end(), index) != left_to_others_.end();
  if (!known) left_to_others_.push_back(index);
}

Walk::Recovery Walk::recovery(TimePoint now, Duration pace, bool repeat_failed) const {
  Recovery recovery;
  std::optional<Standing> best;
  for (std::size_t place = 0; place < candidates_->size(); ++place) {
    const std::size_t index = order_.at(place);
    if (is_barred(index) || (!repeat_failed && has_failed(index))) continue;
    const Standing standing = standing_of(index, now);
    if (!standing.fit()) continue;
    const Note* note = note_of(index);
    if (standing.ready()) {
      if (note != nullptr && !note->passes) continue;
      const TimePoint again =
          note == nullptr ? now : saturating_add(note->at, std::max(note->again_after.value_or(pace), pace));
      recovery.at = std::min(recovery.at, again);
    } else {
      // What may change at any moment is looked at now and then.
      recovery.at = std::min(recovery.at, standing.ready_at > now ? standing.ready_at : saturating_add(now, pace));
    }
    if (standing.probe == Standing::Probe::never) continue;
    if (best && !standing.is_probed_before(*best)) continue;
    best = standing;
    recovery.probe = index;
    // What has just failed is not probed at once.
    recovery.probe_from = std::max(now, saturating_add(standing.failed_at, pace));
  }
  return recovery;
}

bool Walk::fell_over_to(std::size_t index) const noexcept {
  const std::size_t place = order_.place_of(index);
  for (std::size_t before = 0; before < place; ++before) {
    if (std::find(gave_way_.begin(), gave_way_.end(), order_.at(before)) == gave_way_.end()) return false;
  }
  return place > 0 || order_.overtakes(index);
}

void Walk::begin_again(bool repeat_failed) {
  if (!repeat_failed) {
    for (const Note& note : notes_) {
      if (note.failed) barred_.push_back(note.index);
    }
  }
  begun_again_ = true;
  position_ = 0;
  revisited_ = 0;
  left_to_others_.clear();
  notes_.clear();
  refusal_ = {};
  if (descent_) descent_->begin_again();
  requirement_->failed_domains.clear();
}

const Walk::Note* Walk::note_of(std::size_t index) const noexcept {
  const auto note =
      std::find_if(notes_.rbegin(), notes_.rend(), [index](const Note& one) { return one.index == index; });
  return note == notes_.rend() ? nullptr : &*note;
}

bool Walk::has_failed(std::size_t index) const noexcept {
  return std::any_of(notes_.begin(), notes_.end(),
                     [index](const Note& note) { return note.index == index && note.failed; });
}

bool Walk::is_barred(std::size_t index) const noexcept {
  return std::find(barred_.begin(), barred_.end(), index) != barred_.end();
}

bool Walk::other_goes_first(std::size_t index, TimePoint now) const {
  for (std::size_t place = order_.place_of(index) + 1; place < candidates_->size(); ++place) {
    const std::size_t other = order_.at(place);
    if (has_failed(other) || is_barred(other)) continue;
    const Standing standing = standing_of(other, now);
    if (standing.ready() && standing.soft_limited_until <= now) return true;
  }
  return false;
}

void Walk::add_refusal(const Error& error) {
  const bool fit = is_refusal(error.kind);
  const bool ends = fit && error.retry_after;
  if (refusal_.has_value()) {
    const bool sooner = ends && (!refusal_->retry_after || *error.retry_after < *refusal_->retry_after);
    const bool first_fit = fit && !is_refusal(refusal_->kind);
    if (!sooner && !first_fit) return;
  }
  refusal_ = Boxed<Error>{Error{error}};
}

}  // namespace backstop::inline v0::detail
