#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/chat/attempt.hpp"

namespace backstop::inline v0 {

namespace detail {
struct Candidate;
class Choosing;
class Order;
}  // namespace detail

/// One choice among the candidates of a client: what a strategy is told, and the order that it makes. Candidates go by
/// their place in the client's list. The order begins as that list, and every function leaves each candidate in it: who
/// is liked least stands last and is asked when all others have failed. A number from `size()` on is nobody: what is
/// told of it changes nothing, and what is asked of it is answered as of one that is not fit and that nothing is known
/// of.
///
/// Cost: nothing here allocates for up to 16 candidates.
class BACKSTOP_EXPORT Choice {
 public:
  Choice(const Choice&) = delete;
  Choice& operator=(const Choice&) = delete;

  // What is asked.

  [[nodiscard]] const ChatRequest& request() const noexcept { return *request_; }
  [[nodiscard]] const Needs& needs() const noexcept { return *needs_; }  ///< estimated input tokens, tools, images
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  /// From 0 to below 1: the next of a row of random numbers that belongs to this choice.
  [[nodiscard]] double random() noexcept;
  /// `explain` asks what the next call would do: whatever a strategy keeps must stay as it is.
  [[nodiscard]] bool is_dry_run() const noexcept { return dry_run_; }

  // The candidates.

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] const Target& target(std::size_t candidate) const noexcept;  ///< of a client the first of its targets
  /// Whether it would take the request now.
  [[nodiscard]] bool ready(std::size_t candidate) const noexcept;
  /// Whether it could take the request at some time.
  [[nodiscard]] bool fit(std::size_t candidate) const noexcept;
  /// It has failed too often lately, or recovers from that, and is not to get this call while others can take it. It
  /// will stand behind the others whatever the strategy says.
  [[nodiscard]] bool held_back(std::size_t candidate) const noexcept;
  /// Sends under way, of all clients that have a copy of the target's provider; of a client the calls to it.
  [[nodiscard]] int in_flight(std::size_t candidate) const noexcept;
  /// Seconds to the first token: a peak-sensitive average that decays towards 1 s over a minute. Failures count 5 s at
  /// least. Of answers that come in one piece it is the whole time.
  [[nodiscard]] double time_to_first_token(std::size_t candidate) const noexcept;
  /// Output tokens a second, from the first token on; 50 when nothing is known.
  [[nodiscard]] double tokens_per_second(std::size_t candidate) const noexcept;
  /// Of its latest answers that a quality floor has judged, how many it refused; 0 where none was, and of a client.
  [[nodiscard]] double rejected_share(std::size_t candidate) const noexcept;
  /// Whether it has answered or failed before, as far as is remembered.
  [[nodiscard]] bool known(std::size_t candidate) const noexcept;
  /// What the answer is expected to cost there: estimated input, of which the usual share is priced as cached; as much
  /// output as its answers usually have (where that is not known as those of the others, else 512 tokens), within the
  /// limits of the request and the model. Of a client at the cheapest of its targets. Empty when the price is not
  /// known.
  [[nodiscard]] std::optional<Money> expected_cost(std::size_t candidate) const noexcept;
  /// The same where so many tokens of the input are in its prompt cache.
  [[nodiscard]] std::optional<Money> expected_cost(std::size_t candidate, std::int64_t cached_tokens) const noexcept;

  // The order.

  [[nodiscard]] std::size_t at(std::size_t place) const noexcept;  ///< who stands there; `size()`: nobody does
  /// To the first place; the others keep their order.
  void prefer(std::size_t candidate) noexcept;
  /// To the last place.
  void put_last(std::size_t candidate) noexcept;
  /// By their scores, the lowest first; equal ones in random order.
  template <class Score>
  void sort_by(const Score& score) {
    for (std::size_t candidate = 0; candidate < size(); ++candidate) set_score(candidate, score(candidate));
    sort();
  }
  /// Stands in the rows of the sends to it (`Attempt::score`).
  void set_score(std::size_t candidate, double score) noexcept;
  [[nodiscard]] double score(std::size_t candidate) const noexcept;
  /// Stands in the rows of the sends to that candidate (`Attempt::session`).
  void note(std::size_t candidate, const SessionMove& move) noexcept;
  /// By the scores that are set, as `sort_by`.
  void sort() noexcept;

 private:
  friend class detail::Choosing;
  Choice(const detail::Choosing& choosing, detail::Order& order, const ChatRequest& request, const Needs& needs,
         TimePoint now, std::uint64_t random_state, bool dry_run) noexcept;
  [[nodiscard]] std::uint64_t random_bits() noexcept;
  [[nodiscard]] const detail::Candidate* find(std::size_t candidate) const noexcept;  // null: nobody

  const detail::Choosing* choosing_;
  detail::Order* order_;
  const ChatRequest* request_;
  const Needs* needs_;
  TimePoint now_;
  std::uint64_t random_state_;
  bool dry_run_;
};

}  // namespace backstop::inline v0
