#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

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
      : key_{options.key}, inner_{std::move(inner)}, sessions_{options.max_sessions, options.forget_after} {}

  void order(Choice& choice) const {
    if (inner_.order) inner_.order(choice);
    const std::string_view session = session_of(choice.request(), key_);
    if (session.empty()) return;
    if (const auto with = sessions_.find(session, choice.now())) choice.prefer(*with);
  }
  void note(const ChatRequest& request, std::size_t candidate, TimePoint now) {
    if (inner_.answered) inner_.answered(request, candidate, now);
    const std::string_view session = session_of(request, key_);
    if (!session.empty()) sessions_.note(session, candidate, now);
  }

 private:
  std::string key_;
  Strategy::Chooser inner_;
  detail::Affinity sessions_;
};

void check(const StickyOptions& options) {
  if (options.key.empty()) throw std::invalid_argument{"sticky: the key is empty; name session_id, user_id or a tag"};
  if (options.max_sessions < 1 || options.max_sessions > most_sessions) {
    throw std::invalid_argument{
        fmt::format("sticky: max_sessions is {}; it must be between 1 and {}", options.max_sessions, most_sessions)};
  }
  if (options.forget_after <= Duration::zero()) throw std::invalid_argument{"sticky: forget_after must be above zero"};
}

}  // namespace

Strategy sticky(Strategy inner, StickyOptions options) {
  check(options);
  std::string description = options.key == StickyOptions{}.key
                                ? fmt::format("sticky({})", inner.describe())
                                : fmt::format("sticky({}, key = {})", inner.describe(), options.key);
  return Strategy{std::move(description), [inner = std::move(inner), options = std::move(options)](std::size_t candidates) {
                    Strategy::Chooser chooser;
                    if (!inner.is_ordered()) chooser = inner.make(candidates);
                    auto state = std::make_shared<Sticky>(options, std::move(chooser));
                    return Strategy::Chooser{
                        .order = [state](Choice& choice) { state->order(choice); },
                        .answered = [state](const ChatRequest& request, std::size_t candidate,
                                            TimePoint now) { state->note(request, candidate, now); }};
                  }};
}

}  // namespace backstop::inline v0
