#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/standing.hpp"
#include "routing/candidate.hpp"
#include "routing/choosing.hpp"
#include "routing/descent.hpp"
#include "routing/order.hpp"

namespace backstop::inline v0::detail {

/// The walk of one call along the candidates of a client, in the order that its strategy has made: who is asked next,
/// who is passed over and why, and what the failures so far ask of the next one.
class Walk {
 public:
  Walk(const Pool& pool, const ChatRequest& request, const CallContext& context, TimePoint now,
       Choosing::Mode mode = Choosing::Mode::call, std::uint64_t ahead = 0);

  /// Who is asked in which order.
  [[nodiscard]] const Order& order() const noexcept { return order_; }
  /// Has the rows of that candidate's sends say who chose it. `pick` must outlive the call to it.
  void note_pick(std::size_t index, RoutingHint& hint, Pick& pick) const {
    if (choosing_ == nullptr || order_.undone()) return;
    pick = {choosing_->name(), order_.score_of(index), order_.note_of(index)};
    hint.pick = &pick;
  }

  /// The next candidate to be asked; those passed over on the way get their row. Each in order, then those that left
  /// the call to others, if these have failed. Empty when nobody is left.
  [[nodiscard]] std::optional<std::size_t> next();
  /// The next candidate that would take the call now and is known to be well, for a second send beside `asked`, whose
  /// send to `target` is under way (null: none is); empty when there is none.
  [[nodiscard]] std::optional<std::size_t> beside(std::size_t asked, const Target* target) const;
  /// How many targets behind the one that `next` gave last could be sent to right now.
  [[nodiscard]] int ready_behind() const;
  /// What the candidate asked next is told of the others. `to_come`: how many are ready behind it.
  [[nodiscard]] RoutingHint hint(std::size_t index, int to_come, bool probes) const;

  /// What that candidate is told, where it is asked beside the one that `next` gave last.
  [[nodiscard]] RoutingHint hint_beside(std::size_t index) const;

  /// What came of asking it. False when no other candidate would do better.
  /// `left_some`: a client, which had left some of its targets to others.
  [[nodiscard]] bool note_failure(std::size_t index, const Error& error, bool fall_back_on_content_filter,
                                  bool left_some = false);
  /// It refused, without a send. `others_ready`: when these fail it may take the call after all.
  void note_refusal(std::size_t index, const Error& error, bool others_ready);
  /// It has not failed, and may take the call when all others have.
  void leave_to_others(std::size_t index);
  /// The consumer has a part of the answer: from now on only targets will do that can write the rest of it, which
  /// `rest` asks for. Both outlive this.
  void must_continue_text(const ChatRequest& rest, const std::string& text_so_far) noexcept {
    text_so_far_ = &text_so_far;
    ask_from_now_on(rest);
  }
  /// In place of the request that the call came with; it outlives this.
  void ask_from_now_on(const ChatRequest& request) noexcept {
    request_ = &request;
    needs_ = needs_now();
    if (descent_) descent_->continue_with(request);
  }

  /// The same, for another round of those that have not failed.
  void ask_anew(const ChatRequest& request) noexcept {
    ask_from_now_on(request);
    if (descent_) descent_->begin_again();
    position_ = 0;
  }

  /// Whether a candidate that what is asked now does not fit would take that request.
  [[nodiscard]] bool someone_would_take(const ChatRequest& request) const;

  /// Who is to be asked for a summary before the candidate is asked, of which turns.
  struct SummaryWanted {
    const Provider* by;
    const std::vector<Message>* turns;
    std::int64_t tokens;  ///< the longest it may be
  };
  [[nodiscard]] std::optional<SummaryWanted> summary_wanted(std::size_t index) const noexcept;
  /// What came of it; stands in what the candidates are offered from now on.
  void note_summary(std::size_t index, HistorySummary summary, TimePoint now);

  /// What the candidate is asked: the request, or what is left of it.
  [[nodiscard]] Offer offer(std::size_t index) const noexcept {
    const Offer* reduced = descent_ ? descent_->offer(index) : nullptr;
    return reduced != nullptr ? *reduced : Offer{request_, &needs_, nullptr};
  }
  /// The next that has its turn in this round, on this rung of the ladder; `obstacle` may still say no.
  [[nodiscard]] std::optional<std::size_t> next_turn(TimePoint now);
  /// At the end of a round, the next of those that have left the call to others and may be asked now.
  [[nodiscard]] std::optional<std::size_t> next_left(TimePoint now);
  /// Takes the next rung of the ladder, for another round. False at its end, or while others are to be asked first.
  [[nodiscard]] bool take_rung();

  /// When it is worth asking again, after nobody was left.
  struct Recovery {
    TimePoint at = TimePoint::max();    ///< when the first is ready again, as far as is known
    std::optional<std::size_t> probe{};  ///< who could find out before, if that is allowed
    TimePoint probe_from{};              ///< not before: it has just failed
  };
  /// `pace`: how long after its failure a candidate that is ready is asked again, with `repeat_failed`.
  [[nodiscard]] Recovery recovery(TimePoint now, Duration pace, bool repeat_failed = true) const;
  /// Whether others stood before it in the strategy's order, and each of them failed, was out or was held back; none was
  /// only unfit.
  [[nodiscard]] bool fell_over_to(std::size_t index) const noexcept;
  /// Begins anew with all that may have recovered.
  void begin_again(bool repeat_failed);

  /// Of the last target that was really tried.
  [[nodiscard]] Error* failure() noexcept { return failure_.has_value() ? &*failure_ : nullptr; }
  /// What the call fails with, unless another comes: a `real` one gives way to such only. That of a client that asked
  /// none of its targets is not.
  void set_failure(Error error, bool real);
  /// Of those passed over: the one that recovers first, else the first that could take the request, else the first.
  [[nodiscard]] Error* refusal() noexcept { return refusal_.has_value() ? &*refusal_ : nullptr; }

  /// Each target with the reason why it cannot take the request; empty unless that is so of all of several.
  [[nodiscard]] std::string why_all_are_unfit(TimePoint now) const;

  /// Why the candidate is passed over in its turn; empty when it is asked.
  [[nodiscard]] std::optional<Error> obstacle(std::size_t index, TimePoint now);
  [[nodiscard]] const Needs& needs() const noexcept { return needs_; }

 private:
  /// What came of a candidate in this round.
  struct Note {
    std::size_t index;
    TimePoint at;
    bool failed;  ///< was tried; not only passed over or refused
    bool passes;  ///< in a way that time mends
    std::optional<Duration> again_after;
  };

  /// Of the request as it is now.
  [[nodiscard]] Needs needs_now() const noexcept;
  [[nodiscard]] const Candidate& candidate(std::size_t index) const noexcept { return *(*candidates_)[index]; }
  [[nodiscard]] bool has_turn(std::size_t index, TimePoint now);
  [[nodiscard]] const Note* note_of(std::size_t index) const noexcept;
  [[nodiscard]] bool has_failed(std::size_t index) const noexcept;
  [[nodiscard]] bool is_barred(std::size_t index) const noexcept;
  [[nodiscard]] Standing standing_of(std::size_t index, TimePoint now) const noexcept {
    const Offer* reduced = descent_ ? descent_->offer(index) : nullptr;
    if (reduced != nullptr) return candidate(index).provider.standing(*reduced->request, *reduced->needs, now);
    return candidate(index).provider.standing(*request_, needs_, now);
  }
  [[nodiscard]] Error refusal(std::size_t index, const Standing& standing, TimePoint now) const {
    const Offer offered = offer(index);
    return refusal_of(standing, *offered.request, *offered.needs, now);
  }
  [[nodiscard]] Descent& descent();
  [[nodiscard]] std::size_t level() const noexcept { return descent_ ? descent_->level() : 0; }
  void forget_failure(std::size_t index) noexcept;
  /// A cap had no room for a send of that to the target.
  void must_be_cheaper_than(const Target& target, const Offer& asked);
  /// How many targets a rung would bring in.
  [[nodiscard]] int reached_by_rungs() const;
  /// What the clients around say of their other targets: who of them is ready may have changed since they were asked.
  [[nodiscard]] RoutingHint outer_hint() const;
  [[nodiscard]] RoutingHint hint_of_others(int to_come, bool probes) const;
  /// Whether a client around has other targets that it may still ask in this round.
  [[nodiscard]] bool others_around() const;
  [[nodiscard]] bool other_goes_first(std::size_t index, TimePoint now) const;
  void add_refusal(const Error& error);
  void note_way_given(std::size_t index) {
    if (choosing_ != nullptr) gave_way_.push_back(index);
  }

  const Pool* pool_;
  const Candidates* candidates_;
  const ChatRequest* came_as_;
  const ChatRequest* request_;  // the same, or what is asked in its place
  const CallContext* context_;
  const std::string* text_so_far_;  // of the answer; null: nothing has been delivered
  Requirement* requirement_;  // the call's
  const Choosing* choosing_;  // null: as listed
  Needs needs_;
  bool begun_again_ = false;
  std::size_t position_ = 0;
  std::size_t revisited_ = 0;
  bool asked_one_ = false;
  bool after_all_ = false;  // who is asked now had left the call to others
  std::vector<std::size_t> left_to_others_;
  std::vector<Note> notes_;          // of this round, a few
  std::vector<std::size_t> barred_;  // failed in ways that time does not mend
  std::vector<std::size_t> gave_way_;  // failed, refused or were out, in ways that are not the request's; where one chooses
  Boxed<Error> failure_;
  bool failure_is_real_ = false;
  Boxed<Error> refusal_;
  std::unique_ptr<Descent> descent_;  // null while nothing is to be given up
  Order order_;  // last, because of its size
};

}  // namespace backstop::inline v0::detail
