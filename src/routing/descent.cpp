#include "routing/descent.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "backstop/standing.hpp"
#include "handover/own_parameters.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] constexpr bool has(Rungs rungs, std::size_t index) noexcept { return (rungs >> index & 1U) != 0; }

}  // namespace

Descent::Descent(const Ladder& ladder, const Candidates& candidates, const ChatRequest& request)
    : ladder_{&ladder}, candidates_{&candidates}, request_{&request}, entries_(candidates.size()) {}

bool Descent::go_down() noexcept {
  if (level_ > ladder_->reductions().size()) return false;
  ++level_;
  return true;
}

bool Descent::admits(std::size_t index, const Needs& needs, TimePoint now) {
  return admits(index, Ladder::first(level_ - 1), needs, now);
}

bool Descent::admits_on_some_level(std::size_t index, const Needs& needs, TimePoint now) {
  for (std::size_t count = 0; count <= ladder_->reductions().size(); ++count) {
    if (admits(index, Ladder::first(count), needs, now)) return true;
  }
  return false;
}

bool Descent::admits(std::size_t index, Rungs rungs, const Needs& needs, TimePoint now) {
  Entry& entry = entries_[index];
  if (entry.let_in) return false;
  const Standing whole = (*candidates_)[index]->provider.standing(*request_, needs, now);
  if (whole.ready() && !entry.lacks) return false;
  // What is only out is not asked for less: that would be out, too.
  const bool must_be_ready = whole.fit() && !entry.lacks;
  for (Rungs left = rungs; may_do(index, left, needs, must_be_ready, now);) {
    rungs = left;
    for (std::size_t rung = ladder_->reductions().size(); rung-- > 0;) {
      const Rungs without = rungs & ~(Rungs{1} << rung);
      if (without != rungs && may_do(index, without, needs, must_be_ready, now)) rungs = without;
    }
    Rungs changed = 0;
    if (std::unique_ptr<Reduced> reduced = reduce(index, rungs, needs, now, changed)) {
      entry.reduced = std::move(reduced);
      entry.let_in = true;
      return true;
    }
    // Others may do in the place of those that change nothing.
    if (changed == rungs) return false;
    left &= ~(rungs & ~changed);
  }
  return false;
}

bool Descent::may_do(std::size_t index, Rungs taken, const Needs& needs, bool must_be_ready, TimePoint now) const {
  const Entry& entry = entries_[index];
  if (entry.lacks) {
    // More than it failed with, and something that the failure may have been about.
    const Rungs more = taken & ~entry.failed_with;
    const Rungs helps = *entry.lacks == ErrorKind::context_window_exceeded
                            ? ladder_->about({Feature::history, Feature::output})
                            : ladder_->about(needs);
    if ((more & helps) == 0 || (entry.failed_with & ~taken) != 0) return false;
  }
  const Standing standing =
      (*candidates_)[index]->provider.standing(*request_, ladder_->needs_after(needs, taken), now);
  return must_be_ready ? standing.ready() : standing.fit();
}

std::unique_ptr<Descent::Reduced> Descent::reduce(std::size_t index, Rungs taken, const Needs& needs, TimePoint now,
                                                  Rungs& changed) const {
  const Entry& entry = entries_[index];
  const std::vector<Ladder::Reduction>& ladder = ladder_->reductions();
  auto reduced = std::make_unique<Reduced>();
  ChatRequest& request = reduced->request;
  if (taken != 0) {
    request = *request_;
    request.max_output_tokens = wanted_output(index, needs);
  }
  reduced->wanted = taken;
  std::array<std::string, feature_count> notices;
  for (std::size_t feature = 0; feature < feature_count; ++feature) {
    for (std::size_t rung = 0; rung < ladder.size(); ++rung) {
      if (!has(taken, rung) || ladder[rung].feature != static_cast<Feature>(feature)) continue;
      ReductionOptions options = options_for(ladder[rung], index, needs);
      if (options.summary_tokens > 0 && !summary_) options.left_out = &reduced->left_out;
      notices[feature] = take_out(ladder[rung].feature, request, options);
      if (!notices[feature].empty()) reduced->taken |= Rungs{1} << rung;
    }
  }
  // A target's own limit holds; what stands in a request that was made shorter may lower it.
  const bool lowered = (reduced->taken & ladder_->about({Feature::output})) != 0;
  const bool shorter = (reduced->taken & ladder_->about({Feature::history})) != 0;
  if (!lowered && !(shorter && (*candidates_)[index]->targets.size() == 1)) {
    request.max_output_tokens = request_->max_output_tokens;
  }
  changed = reduced->taken;
  if (entry.lacks && (reduced->taken & ~entry.failed_with) == 0) return nullptr;
  const ChatRequest& asked = reduced->taken != 0 ? request : *request_;
  reduced->needs = needs_of(asked);
  reduced->needs.prefill = needs.prefill;
  reduced->needs.costs = needs.costs;
  reduced->needs.requirement = needs.requirement;
  reduced->needs.held = needs.held;
  reduced->needs.may_degrade = true;
  reduced->needs.reduced = needs.reduced || reduced->taken != 0;
  reduced->needs.appended = needs.appended;
  reduced->needs.whole = needs.whole == nullptr && reduced->taken != 0 ? request_ : needs.whole;
  reduced->needs.shortened =
      needs.shortened || (reduced->taken & ladder_->about({Feature::history, Feature::output})) != 0;
  if (!(*candidates_)[index]->provider.standing(asked, reduced->needs, now).fit()) return nullptr;
  for (std::size_t rung = 0; rung < ladder.size(); ++rung) {
    if (!has(reduced->taken, rung)) continue;
    Degradation& degradation = reduced->degradation;
    degradation.features.emplace_back(to_string(ladder[rung].feature));
    append_once(degradation.reason, why_without(index, taken, Rungs{1} << rung, needs, now), "; ");
    append_once(degradation.notice, notices[static_cast<std::size_t>(ladder[rung].feature)], " ");
  }
  reduced->offer = {&asked, &reduced->needs, reduced->taken != 0 ? &reduced->degradation : nullptr};
  return reduced;
}

std::string Descent::why_without(std::size_t index, Rungs taken, Rungs rung, const Needs& needs, TimePoint now) const {
  const Provider& provider = (*candidates_)[index]->provider;
  const Standing standing = provider.standing(*request_, ladder_->needs_after(needs, taken & ~rung), now);
  const Target& target = standing.target != nullptr ? *standing.target : provider.target();
  const Entry& entry = entries_[index];
  return fmt::format("{}: {}", target.name(), entry.lacks ? std::string_view{entry.why} : standing.what);
}

ReductionOptions Descent::options_for(const Ladder::Reduction& rung, std::size_t index,
                                      const Needs& needs) const noexcept {
  ReductionOptions options = rung.options;
  options.appended = needs.appended;
  const Facts known = facts_of(index);
  options.window = known.window;
  options.most_output = known.most_output;
  options.summary = summary_.get();
  const Entry& entry = entries_[index];
  if (entry.lacks != ErrorKind::context_window_exceeded) return options;
  options.halve_output = true;
  // Its tokens are smaller than the estimate has them.
  if (rung.feature == Feature::history && options.window) {
    options.window = std::min(*options.window, entry.input_tokens) / 4 * 3;
  }
  return options;
}

std::optional<std::int64_t> Descent::wanted_output(std::size_t index, const Needs& needs) const noexcept {
  std::optional<std::int64_t> most;
  for (const Target& target : (*candidates_)[index]->targets) {
    most = std::max(most, output_limit_of(target, *request_, GivenUp{needs}));
  }
  return most;
}

Descent::Facts Descent::facts_of(std::size_t index) const noexcept {
  Facts known;
  bool all_windows = true;
  for (const Target& target : (*candidates_)[index]->targets) {
    const ModelFacts& facts = target.facts();
    known.window = std::max(known.window, facts.context_window);
    known.most_output = std::max(known.most_output, facts.max_output_tokens);
    all_windows = all_windows && facts.context_window.has_value();
  }
  if (!all_windows) known.window.reset();
  return known;
}

const std::vector<Message>* Descent::to_summarize(std::size_t index) const noexcept {
  const std::unique_ptr<Reduced>& reduced = entries_[index].reduced;
  return !summary_ && reduced && !reduced->left_out.empty() ? &reduced->left_out : nullptr;
}

void Descent::renew_offer(std::size_t index, const Needs& needs, TimePoint now) {
  Entry& entry = entries_[index];
  Rungs changed = 0;
  if (auto reduced = reduce(index, entry.reduced->wanted, needs, now, changed)) entry.reduced = std::move(reduced);
}

const Offer* Descent::offer(std::size_t index) const noexcept {
  const std::unique_ptr<Reduced>& reduced = entries_[index].reduced;
  return reduced ? &reduced->offer : nullptr;
}

void Descent::note_failure(std::size_t index, const Error& error) {
  Entry& entry = entries_[index];
  const ErrorKind kind = error.cause.value_or(error.kind);
  if (kind != ErrorKind::unsupported_capability && kind != ErrorKind::context_window_exceeded) return;
  entry.lacks = kind;
  entry.let_in = false;
  entry.why = error.message;
  entry.failed_with = entry.reduced ? entry.reduced->taken : 0;
  entry.input_tokens = entry.reduced ? entry.reduced->needs.input_tokens : needs_of(*request_).input_tokens;
}

void Descent::begin_again() noexcept {
  level_ = 0;
  close_all();
}

void Descent::continue_with(const ChatRequest& request) noexcept {
  request_ = &request;
  close_all();
}

void Descent::close_all() noexcept {
  for (Entry& entry : entries_) {
    entry.reduced.reset();
    entry.let_in = false;
  }
}

}  // namespace backstop::inline v0::detail
