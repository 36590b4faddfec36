#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "chat/token_estimate.hpp"
#include "routing/affinity.hpp"
#include "routing/strategies.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::size_t most_sessions = 1'000'000;

/// What tells the request's session apart; empty when it says nothing.
[[nodiscard]] std::string_view session_of(const ChatRequest& request, std::string_view key) noexcept {
  const Metadata& metadata = request.metadata;
  if (key == "session_id") return metadata.session_id;
  if (key == "user_id") return metadata.user_id;
  const auto tag = std::find_if(metadata.tags.begin(), metadata.tags.end(),
                                [key](const auto& one) { return one.first == key; });
  return tag == metadata.tags.end() ? std::string_view{} : std::string_view{tag->second};
}

/// One client's sessions, and the strategy that decides on new ones.
class Sticky {
 public:
  Sticky(const StickyOptions& options, Strategy::Chooser inner)
      : options_{options}, inner_{std::move(inner)}, sessions_{options.max_sessions, options.forget_after} {}

  void order(Choice& choice) const {
    if (inner_.order) inner_.order(choice);
    const std::string_view name = session_of(choice.request(), options_.key);
    if (name.empty()) return;
    const auto session = sessions_.find(name, choice.now());
    if (session && !moves_away(choice, *session)) choice.prefer(session->last.candidate);
  }
  void note(const Strategy::Answered& answer) {
    if (inner_.answered) inner_.answered(answer);
    const std::string_view name = session_of(*answer.request, options_.key);
    if (name.empty()) return;
    const auto& told = answer.response->usage.input_tokens;
    sessions_.note(name, {answer.candidate, answer.at, told ? *told : estimate_input_tokens(*answer.request)});
  }

 private:
  [[nodiscard]] bool moves_away(Choice& choice, const detail::Affinity::Session& session) const {
    const std::size_t at = session.last.candidate;
    if (!choice.ready(at)) return false;  // whoever else takes the call
    std::size_t place = 0;
    while (!choice.ready(choice.at(place)) || choice.held_back(choice.at(place))) {
      if (++place == choice.size()) return false;
    }
    const std::size_t favourite = choice.at(place);
    if (favourite == at) return false;
    const bool came_from_there = session.before.candidate == favourite;
    const auto staying = cost(choice, session.last);
    const auto moving = cost(choice, came_from_there ? session.before : detail::Affinity::Place{favourite, {}, 0});
    if (!staying || !moving) return false;
    const bool pays = *moving <= *staying;
    const bool moves = pays && choice.now() - session.since >= options_.min_dwell;
    choice.note(moves ? favourite : at, moves ? SessionMove{true, *moving, *staying, choice.target(at)}
                                              : SessionMove{false, *staying, *moving, choice.target(favourite), pays});
    return moves;
  }
  /// Of the turns that are expected, when they are asked of a candidate that last read the conversation then.
  [[nodiscard]] std::optional<Money> cost(const Choice& choice, const detail::Affinity::Place& place) const {
    const bool warm = place.input_tokens > 0 && saturating_difference(choice.now(), place.at) < options_.cache_ttl;
    const auto first = choice.expected_cost(place.candidate, warm ? place.input_tokens : 0);
    const auto next = choice.expected_cost(place.candidate, choice.needs().input_tokens);
    if (!first || !next) return std::nullopt;
    const double seconds = choice.time_to_first_token(place.candidate) * options_.expected_turns;
    return *first + *next * (options_.expected_turns - 1) + Money::usd(seconds * options_.second_is_worth.usd());
  }

  StickyOptions options_;
  Strategy::Chooser inner_;
  detail::Affinity sessions_;
};

void check(const StickyOptions& options) {
  if (options.key.empty()) throw std::invalid_argument{"sticky: the key is empty; name session_id, user_id or a tag"};
  if (options.max_sessions < 1 || options.max_sessions > most_sessions) {
    throw std::invalid_argument{
        fmt::format("sticky: max_sessions is {}; it must be between 1 and {}", options.max_sessions, most_sessions)};
  }
  if (options.expected_turns < 1) {
    throw std::invalid_argument{
        fmt::format("sticky: expected_turns is {}; it must be at least 1", options.expected_turns)};
  }
  const std::pair<std::string_view, Duration> above_zero[] = {{"forget_after", options.forget_after},
                                                              {"cache_ttl", options.cache_ttl}};
  for (const auto& [name, span] : above_zero) {
    if (span <= Duration::zero()) throw std::invalid_argument{fmt::format("sticky: {} must be above zero", name)};
  }
  if (options.min_dwell < Duration::zero()) throw std::invalid_argument{"sticky: min_dwell must not be negative"};
  if (options.second_is_worth < Money{}) throw std::invalid_argument{"sticky: second_is_worth must not be negative"};
}

}  // namespace

Strategy sticky(Strategy inner, StickyOptions options) {
  check(options);
  std::string description = options.key == StickyOptions{}.key
                                ? fmt::format("sticky({})", inner.describe())
                                : fmt::format("sticky({}, key = {})", inner.describe(), options.key);
  return Strategy{std::move(description), [inner = std::move(inner), options = std::move(options)](std::size_t candidates) {
                    Strategy::Chooser chooser = inner.make(candidates);
                    const bool slow_start = chooser.slow_start;
                    auto state = std::make_shared<Sticky>(options, std::move(chooser));
                    return Strategy::Chooser{.order = [state](Choice& choice) { state->order(choice); },
                                             .answered = [state](const Strategy::Answered& answer) { state->note(answer); },
                                             .slow_start = slow_start};
                  }};
}

}  // namespace backstop::inline v0
