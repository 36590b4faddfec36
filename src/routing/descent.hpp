#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/runtime/clock.hpp"
#include "routing/candidate.hpp"
#include "routing/ladder.hpp"

namespace backstop::inline v0::detail {

/// What a candidate is asked.
struct Offer {
  const ChatRequest* request;
  const Needs* needs;
  const Degradation* degradation;  ///< what was given up for it; null: nothing
};

/// One call's way down the ladder of its client: which candidates may be asked with what they are offered.
///
/// On level 0 all are asked as the call came. On level 1 clients inside may take rungs of their own. Level n + 1 adds the
/// client's n-th. Of the rungs so far each candidate is taken those that it cannot do without: the last are left out
/// first.
class Descent {
 public:
  /// What it is given outlives it; `request` until `continue_with` gives another.
  Descent(const Ladder& ladder, const Candidates& candidates, const ChatRequest& request);

  [[nodiscard]] std::size_t level() const noexcept { return level_; }
  /// False at the bottom.
  [[nodiscard]] bool go_down() noexcept;
  /// Whether this level lets the candidate in, which none above did, or which has failed since by what it was asked.
  /// Then `offer` has what it is asked. `needs`: of the whole request.
  [[nodiscard]] bool admits(std::size_t index, const Needs& needs, TimePoint now);
  /// The same for all levels below, the highest first.
  [[nodiscard]] bool admits_on_some_level(std::size_t index, const Needs& needs, TimePoint now);
  /// The turns that are left out of what the candidate is offered, where a summary is to stand for them and none has been
  /// asked for; null: none is.
  [[nodiscard]] const std::vector<Message>* to_summarize(std::size_t index) const noexcept;
  /// From now on this stands for turns that are left out, of that candidate's offer too.
  void use(std::shared_ptr<const HistorySummary> summary) noexcept { summary_ = std::move(summary); }
  void renew_offer(std::size_t index, const Needs& needs, TimePoint now);
  /// Null: the request as it came.
  [[nodiscard]] const Offer* offer(std::size_t index) const noexcept;
  /// It failed with what it was asked.
  void note_failure(std::size_t index, const Error& error);
  /// It has failed by what it was asked, and is not to be asked the same.
  [[nodiscard]] bool lacks_something(std::size_t index) const noexcept { return entries_[index].lacks.has_value(); }
  /// From the top again.
  void begin_again() noexcept;
  /// From now on this is what there is to ask.
  void continue_with(const ChatRequest& request) noexcept;

 private:
  struct Reduced {
    ChatRequest request;
    Needs needs;
    Degradation degradation;
    Rungs wanted = 0;
    Rungs taken = 0;  ///< those of them that changed something
    std::vector<Message> left_out;  ///< the turns that a summary is to stand for
    Offer offer{};
  };
  struct Entry {
    std::unique_ptr<Reduced> reduced;
    std::optional<ErrorKind> lacks;  ///< how it failed by what it was asked
    std::string why;                 ///< in words, with it
    std::int64_t input_tokens = 0;   ///< of what it was asked, with it
    Rungs failed_with = 0;
    bool let_in = false;  ///< by some level, and has not failed by what it was asked since
  };

  [[nodiscard]] bool admits(std::size_t index, Rungs rungs, const Needs& needs, TimePoint now);
  /// Whether the candidate could be asked with these taken, as far as is known without taking them.
  [[nodiscard]] bool may_do(std::size_t index, Rungs taken, const Needs& needs, bool must_be_ready, TimePoint now) const;
  /// Takes them; null where that changes nothing, or does not help. `changed`: those that changed something.
  [[nodiscard]] std::unique_ptr<Reduced> reduce(std::size_t index, Rungs taken, const Needs& needs, TimePoint now,
                                                Rungs& changed) const;
  [[nodiscard]] std::string why_without(std::size_t index, Rungs taken, Rungs rung, const Needs& needs,
                                        TimePoint now) const;
  void close_all() noexcept;
  /// What the reduction of a feature is to keep to at that candidate.
  [[nodiscard]] ReductionOptions options_for(const Ladder::Reduction& rung, std::size_t index,
                                             const Needs& needs) const noexcept;
  /// The most that is known that one of the targets behind it would be asked to write: by the request, and by its own
  /// parameters.
  [[nodiscard]] std::optional<std::int64_t> wanted_output(std::size_t index, const Needs& needs) const noexcept;
  struct Facts {
    std::optional<std::int64_t> window{};       // the largest; empty where one is not known, as that may take anything
    std::optional<std::int64_t> most_output{};  // the most that is known
  };
  /// Of the targets behind a candidate.
  [[nodiscard]] Facts facts_of(std::size_t index) const noexcept;

  const Ladder* ladder_;
  const Candidates* candidates_;
  const ChatRequest* request_;
  std::size_t level_ = 0;
  std::vector<Entry> entries_;
  std::shared_ptr<const HistorySummary> summary_;  // null: none has been asked for
};

}  // namespace backstop::inline v0::detail
