#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/export.hpp"
#include "backstop/routing/choice.hpp"

namespace backstop::inline v0 {

/// In which order a client asks its candidates. A recipe: each client that is given one has its own state of it. An
/// option of `FallbackOptions`.
///
/// A strategy decides on the order only. As ever a candidate that cools down, whose breaker is open, or that cannot do
/// what the request needs is passed over, and after a failure the next in the order is asked. Every strategy but
/// `ordered()` puts those last that fail too often: half of at least five sends within 60 s. They stay there for 30 s,
/// doubling up to 300 s; then one send at a time finds out, and from the first that succeeds their share of the calls
/// rises from 10 % to all of them within 30 s. No more than half of the candidates are put last so, those that fail
/// most.
///
/// A pool of equal targets is a client of its own, with its strategy, as a candidate of another.
///
/// Thread safety: const access from many threads. Cost: choosing among 16 targets takes less than 1 us and no
/// allocation; a client with one candidate does not choose.
///
/// Example: `FallbackClient pool{{azure_eu, azure_us}, {.strategy = lowest_latency()}};`
class BACKSTOP_EXPORT Strategy {
 public:
  /// What a candidate has answered; lives as long as the call of the function that is told.
  struct Answered {
    const ChatRequest* request;
    const ChatResponse* response;
    std::size_t candidate;
    TimePoint at;
    /// There were others before it in the order that the strategy made, and each of them failed this call, was out or
    /// was held back; none was only unfit for it.
    bool fell_over = false;
  };
  /// What one client has of a strategy.
  struct Chooser {
    /// Makes the order. Several calls may choose at the same time. What throws leaves the candidates as listed.
    std::function<void(Choice&)> order{};
    /// An answer has come from a candidate; unset: of no interest.
    std::function<void(const Answered&)> answered{};
    /// False: one that recovers from failing too often is not held back from a share of the calls; `order` has its own
    /// way back.
    bool slow_start = true;
  };
  /// Called once for each client, with the number of its candidates. Throws std::invalid_argument where the strategy
  /// does not fit that many.
  using Make = std::function<Chooser(std::size_t candidates)>;

  /// `ordered()`.
  Strategy() = default;
  /// `description` is what `describe()` shows, such as "weighted(5, 1, 1)"; what stands before the parenthesis is its
  /// name in rows. Throws std::invalid_argument where `make` is empty.
  Strategy(std::string description, Make make);

  [[nodiscard]] bool is_ordered() const noexcept { return recipe_ == nullptr; }
  [[nodiscard]] std::string describe() const { return is_ordered() ? "ordered" : recipe_->description; }
  /// Of `ordered()` one that does nothing.
  [[nodiscard]] Chooser make(std::size_t candidates) const {
    return is_ordered() ? Chooser{} : recipe_->make(candidates);
  }

 private:
  struct Recipe {
    std::string description;
    Make make;
  };
  std::shared_ptr<const Recipe> recipe_;
};

/// As they are listed; the default.
[[nodiscard]] BACKSTOP_EXPORT Strategy ordered();

/// When a client goes back to an earlier target after an outage.
struct FailbackOptions {
  Duration min_dwell = std::chrono::seconds{60};  ///< a later one keeps the calls for that long; not negative
  int successes = 2;  ///< in a row that the earlier one needs first, asked by one call at a time; at least 1
};

/// As they are listed, but slow to go back: when one has answered a call because all that stood before it failed that
/// call, were out, or were put last for failing too often, it keeps the calls for `min_dwell`. Then one call at a time
/// goes to the first that is ready before it, until `successes` of these in a row were answered there; that takes the
/// place of the share that rises. What one cannot do (`Standing::fit`) moves nothing. An answer of the one that keeps
/// the calls is no fallback.
///
/// Throws std::invalid_argument for options out of range.
[[nodiscard]] BACKSTOP_EXPORT Strategy ordered(FailbackOptions failback);

/// The first that is ready, in the listed order; unlike with `ordered`, an answer of it is no fallback.
[[nodiscard]] BACKSTOP_EXPORT Strategy first_ready();

/// Each by its weight, smoothly: 5, 1, 1 gives a a b a c a a, and exactly these shares in every 7 calls. The weights
/// are those of the candidates in their order. Those that are not ready, or held back, take no part meanwhile; one with
/// weight 0 is asked only when all others have failed.
///
/// Throws std::invalid_argument for a negative weight or one above a million, and when all are 0; the client does where
/// there are not as many as candidates.
[[nodiscard]] BACKSTOP_EXPORT Strategy weighted(std::vector<std::int64_t> weights);

/// How often a strategy that goes by experience asks another than the best.
struct ExplorationOptions {
  double exploration = 0.01;  ///< share of the calls, 0 to 1, that go first to one of the others by chance
};

/// The least time to first token, times one more than the sends under way (`Choice::time_to_first_token`), by the share
/// of its answers that quality floors accept. Failures count as slow, so that a target that fails fast attracts no
/// calls. One that nothing is known of counts as 1 s, and
/// stands behind all others while a call is under way to it. Throws std::invalid_argument for an exploration that is no
/// share.
[[nodiscard]] BACKSTOP_EXPORT Strategy lowest_latency(ExplorationOptions options = {});

/// The most output tokens a second (`Choice::tokens_per_second`). One that nothing is known of counts as 50, and
/// stands behind all others while a call is under way to it.
/// Throws std::invalid_argument for an exploration that is no share.
[[nodiscard]] BACKSTOP_EXPORT Strategy highest_throughput(ExplorationOptions options = {});

/// The least expected cost of this request (`Choice::expected_cost`); those without a price last.
[[nodiscard]] BACKSTOP_EXPORT Strategy lowest_cost();

/// The fewest sends under way; equal ones by chance.
[[nodiscard]] BACKSTOP_EXPORT Strategy least_in_flight();

/// How many sessions a client remembers, for how long, and what keeps one where it is.
struct StickyOptions {
  /// What tells sessions apart: "session_id", "user_id", or the name of a tag of the request's metadata.
  std::string key = "session_id";
  std::size_t max_sessions = 10'000;             ///< 1 to a million; beyond it the one not heard of for longest goes
  Duration forget_after = std::chrono::hours{1};  ///< without an answer
  Duration cache_ttl = std::chrono::minutes{5};   ///< how long a prompt cache keeps a conversation after an answer
  int expected_turns = 5;                         ///< that a session goes on for, this one included; at least 1
  Duration min_dwell = std::chrono::minutes{5};   ///< it is with a candidate for that long before it is moved for money
  Money second_is_worth{};                        ///< what it is worth to have the first token a second sooner
};

/// A session stays with the candidate that answered it last, whose prompt cache knows it; `inner` decides on new ones
/// and on the order of the others. A request without the key is the inner strategy's alone.
///
/// When `inner` would send a session elsewhere (to the first of its order that is ready), the money decides: what the
/// expected turns cost where the session is, its prompt cache warm within `cache_ttl` of the last answer, against what
/// they cost there, where the conversation is first read at the full price unless it came from there within that time.
/// Time to first token counts by `second_is_worth`. It moves when that costs no more and `min_dwell` is over, and stays
/// where a price is not known. Both figures stand in the send's row
/// (`Attempt::session`). After a failure it moves as every
/// call does.
///
/// Throws std::invalid_argument for an empty key, no sessions or too many, no turns, a negative worth, and times that
/// are not above zero (`min_dwell`: negative).
/// Cost: a short lock in each call.
[[nodiscard]] BACKSTOP_EXPORT Strategy sticky(Strategy inner, StickyOptions options = {});

/// The application's own: `order` makes the order of each call, and may be called by several at the same time.
///
/// Example: `choose_by("by_day", [](Choice& choice) { choice.prefer(today() % choice.size()); })`
[[nodiscard]] BACKSTOP_EXPORT Strategy choose_by(std::string name, std::function<void(Choice&)> order);

}  // namespace backstop::inline v0
