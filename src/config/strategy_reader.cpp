#include "config/strategy_reader.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "config/fields.hpp"

namespace backstop::inline v0::detail {
namespace {

/// What an object may say of a strategy, whichever it is.
struct StrategyDraft {
  FailbackOptions failback;
  ExplorationOptions exploration;
  StickyOptions sticky;
};

constexpr std::array plain_fields{Field<StrategyDraft>{"name"}};

constexpr std::array failback_fields{
    Field<StrategyDraft>{"name"},
    Field<StrategyDraft>{"min_dwell",
                         [](const Setting& at, StrategyDraft& out) { set(out.failback.min_dwell, at.span()); }},
    Field<StrategyDraft>{"successes",
                         [](const Setting& at, StrategyDraft& out) { set(out.failback.successes, at.whole(1, 1000)); }},
};

constexpr std::array exploration_fields{
    Field<StrategyDraft>{"name"},
    Field<StrategyDraft>{"exploration",
                         [](const Setting& at, StrategyDraft& out) { set(out.exploration.exploration, at.number(0, 1)); }},
};

// "metadata.user_id" is `user_id`, and any other name a tag.
void read_session_key(const Setting& at, StrategyDraft& out) {
  constexpr std::string_view prefix = "metadata.";
  std::string key = at.text().value_or("");
  if (key.starts_with(prefix)) key.erase(0, prefix.size());
  if (at.is_string() && key.empty()) return at.refuse("\"session_id\", \"user_id\" or the name of a tag");
  if (!key.empty()) out.sticky.key = std::move(key);
}

constexpr std::array sticky_fields{
    Field<StrategyDraft>{"name"},
    Field<StrategyDraft>{"then"},
    Field<StrategyDraft>{"by", read_session_key},
    Field<StrategyDraft>{"ttl", [](const Setting& at, StrategyDraft& out) { set(out.sticky.forget_after, at.duration()); }},
    Field<StrategyDraft>{"max_sessions",
                         [](const Setting& at, StrategyDraft& out) {
                           if (const auto most = at.whole(1, 1'000'000)) out.sticky.max_sessions = static_cast<std::size_t>(*most);
                         }},
    Field<StrategyDraft>{"cache_ttl",
                         [](const Setting& at, StrategyDraft& out) { set(out.sticky.cache_ttl, at.duration()); }},
    Field<StrategyDraft>{"expected_turns",
                         [](const Setting& at, StrategyDraft& out) { set(out.sticky.expected_turns, at.whole(1, 1000)); }},
    Field<StrategyDraft>{"min_dwell",
                         [](const Setting& at, StrategyDraft& out) { set(out.sticky.min_dwell, at.span()); }},
    Field<StrategyDraft>{"second_is_worth_usd",
                         [](const Setting& at, StrategyDraft& out) { set(out.sticky.second_is_worth, at.dollars()); }},
};

/// As whole numbers in the same proportions.
[[nodiscard]] std::vector<std::int64_t> whole(const std::vector<double>& weights) {
  constexpr double most = 1'000'000;
  const double largest = *std::max_element(weights.begin(), weights.end());
  const bool are_whole = std::all_of(weights.begin(), weights.end(), [](double one) { return one == std::floor(one); });
  const double scale = are_whole || largest <= 0 ? 1 : std::min(1000.0, most / largest);
  std::vector<std::int64_t> result;
  std::int64_t divisor = 0;
  for (const double weight : weights) {
    // One that is above 0 takes part, however small.
    result.push_back(weight > 0 ? std::max<std::int64_t>(std::llround(weight * scale), 1) : 0);
    divisor = std::gcd(divisor, result.back());
  }
  for (std::int64_t& weight : result) weight /= std::max<std::int64_t>(divisor, 1);
  return result;
}

constexpr std::string_view accepted_names =
    R"("ordered", "first_ready", "weighted", "lowest_latency", "highest_throughput", "lowest_cost", "least_in_flight" or "sticky")";

}  // namespace

Strategy read_strategy(const Setting& at, const std::vector<double>& weights, bool is_inner) {
  if (!at.present()) return ordered();
  const Setting named = at.is_object() ? at["name"] : at;
  const std::string name = named.word();
  StrategyDraft draft;
  const auto options = [&](const auto& fields) {
    if (at.is_object()) read_fields(at, fields, draft);
  };
  try {
    if (name == "ordered") {
      options(failback_fields);
      return at["min_dwell"].present() || at["successes"].present() ? ordered(draft.failback) : ordered();
    }
    if (name == "weighted") {
      options(plain_fields);
      return weighted(whole(weights));
    }
    if (name == "lowest_latency" || name == "highest_throughput") {
      options(exploration_fields);
      return name == "lowest_latency" ? lowest_latency(draft.exploration) : highest_throughput(draft.exploration);
    }
    if (name == "sticky") {
      options(sticky_fields);
      const Setting then = at["then"];
      return sticky(then.present() ? read_strategy(then, weights, true) : ordered(), draft.sticky);
    }
    const bool is_plain = name == "first_ready" || name == "lowest_cost" || name == "least_in_flight";
    if (is_plain) {
      options(plain_fields);
      return name == "first_ready" ? first_ready() : name == "lowest_cost" ? lowest_cost() : least_in_flight();
    }
    named.refuse(is_inner ? std::string{accepted_names} : fmt::format("{}, or \"cascade\"", accepted_names));
  } catch (const std::invalid_argument& error) {
    at.complain(fmt::format("cannot be: {}", error.what()));
  }
  return ordered();
}

}  // namespace backstop::inline v0::detail
