#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/routing/strategy.hpp"
#include "backstop/runtime/clock.hpp"
#include "routing/candidate.hpp"
#include "routing/ladder.hpp"
#include "routing/order.hpp"

namespace backstop::inline v0::detail {

/// Who decides on the order in which a client asks its candidates: its strategy, and the health of the candidates.
///
/// Each choice has a number, from which its random numbers follow: a dry run has those of the next call.
///
/// Thread safety: any number of threads.
class Choosing {
 public:
  /// Throws where the strategy does not fit so many candidates. They must outlive it.
  Choosing(const Strategy& strategy, const Candidates& candidates, std::uint64_t seed);

  enum class Mode : std::uint8_t { call, dry_run };
  /// Decides on an order that is as listed. `ahead`: of a dry run, how many choices are taken to come before it.
  void decide(Order& order, const ChatRequest& request, const Needs& needs, TimePoint now, Mode mode,
              std::uint64_t ahead = 0) const;
  void note_answer(const Strategy::Answered& answer) const noexcept;

  [[nodiscard]] const std::shared_ptr<const std::string>& name() const noexcept { return name_; }
  /// Those that fail too often, at most half, get a rank above 0 in an order that is as listed and open.
  void put_ejected_last(Order& order, TimePoint now) const noexcept;
  /// Of the calls that are meant for it, how many it gets, where those were put last; 0 where one at a time finds out.
  [[nodiscard]] double share_of(std::size_t candidate, const Order& order, TimePoint now) const noexcept;
  [[nodiscard]] const Candidates& candidates() const noexcept { return *candidates_; }
  /// How often this one was the first of an order.
  [[nodiscard]] std::uint64_t picks(std::size_t candidate) const noexcept {
    return picks_[candidate].load(std::memory_order_relaxed);
  }

 private:
  void hold_back(Choice& choice, Order& order) const noexcept;
  [[nodiscard]] const TargetStatistics& statistics(std::size_t candidate) const noexcept {
    return *(*candidates_)[candidate]->statistics;
  }

  const Candidates* candidates_;
  Strategy::Chooser chooser_;
  std::shared_ptr<const std::string> name_;
  std::uint64_t seed_;
  mutable std::atomic<std::uint64_t> calls_{0};
  std::unique_ptr<std::atomic<std::uint64_t>[]> picks_;
};

/// A client's candidates, who decides on their order, and what a request may give up for them.
class Pool {
 public:
  Candidates candidates;
  std::optional<const Choosing> choosing;  ///< empty where they are asked as listed

  Ladder ladder;
  bool members_degrade = false;  ///< there is a client with a ladder inside
  /// The ladders that may have an answer of their own, this client's first, then those of clients inside.
  std::vector<const Ladder*> answers;

  /// Whether a request may have to give something up here.
  [[nodiscard]] bool degrades() const noexcept { return members_degrade || !ladder.reductions().empty(); }
  [[nodiscard]] const Choosing* chooser() const noexcept { return choosing ? &*choosing : nullptr; }
};

}  // namespace backstop::inline v0::detail
