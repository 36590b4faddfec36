#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "backstop/fallback_client.hpp"
#include "fallback_client/state.hpp"

namespace backstop::inline v0 {
namespace {

/// What may be picked by itself: a target with its policies, or policies around a client, with all of its targets.
struct Choosable {
  const Provider* provider;
  const std::vector<Target>* targets;
};

void list_choosable(const detail::Candidates& candidates, std::vector<Choosable>& found) {
  for (const auto& candidate : candidates) {
    const detail::Pool* inner = candidate->provider.get().layer().pool;
    if (inner != nullptr) {
      list_choosable(inner->candidates, found);
    } else {
      found.push_back({&candidate->provider, &candidate->targets});
    }
  }
}

[[nodiscard]] bool is_named(const Target& target, std::string_view name) noexcept {
  return name == target.name() || name == target.provider();
}

/// The targets of one client by what the application calls them.
class Chosen {
 public:
  explicit Chosen(const detail::Candidates& candidates) { list_choosable(candidates, choosable_); }

  /// Empty when the name is right; what is wrong with it otherwise.
  [[nodiscard]] std::string add(std::string_view name) {
    std::vector<std::pair<std::size_t, const Target*>> fits;
    for (std::size_t index = 0; index < choosable_.size(); ++index) {
      for (const Target& target : *choosable_[index].targets) {
        if (is_named(target, name)) fits.emplace_back(index, &target);
      }
    }
    if (fits.empty()) return fmt::format("no target is called {}; there are {}", name, all());
    if (fits.size() > 1) return fmt::format("{} targets are called {}; there are {}", fits.size(), name, all());
    const auto [index, target] = fits.front();
    const bool twice = std::find(named_.begin(), named_.end(), target) != named_.end();
    if (twice) return fmt::format("{} stands there twice", name);
    named_.push_back(target);
    if (std::find(order_.begin(), order_.end(), index) == order_.end()) order_.push_back(index);
    return {};
  }
  /// The providers in the order of their names; empty text, or what is missing among the names.
  [[nodiscard]] std::string take(std::vector<Provider>& providers) const {
    for (const std::size_t index : order_) {
      for (const Target& target : *choosable_[index].targets) {
        if (std::find(named_.begin(), named_.end(), &target) != named_.end()) continue;
        return fmt::format("{} has policies in common with others there and is not listed; they are asked together or "
                           "not at all", target.name());
      }
      providers.push_back(*choosable_[index].provider);
    }
    return {};
  }

 private:
  [[nodiscard]] std::string all() const {
    std::string text;
    for (const Choosable& one : choosable_) {
      for (const Target& target : *one.targets) text.append(text.empty() ? "" : ", ").append(target.name());
    }
    return text;
  }

  std::vector<Choosable> choosable_;
  std::vector<const Target*> named_;
  std::vector<std::size_t> order_;
};

}  // namespace

Result<FallbackClient> FallbackClient::only(const std::vector<std::string>& targets) const {
  if (targets.empty()) return Error{ErrorKind::invalid_request, "targets must name at least one"};
  Chosen chosen{state_->pool.candidates};
  std::vector<Provider> providers;
  std::string problem;
  for (const std::string& name : targets) {
    problem = chosen.add(name);
    if (!problem.empty()) break;
  }
  if (problem.empty()) problem = chosen.take(providers);
  if (!problem.empty()) return Error{ErrorKind::invalid_request, "targets: " + problem};
  FallbackOptions options = state_->options;
  options.strategy = ordered();
  return FallbackClient{make_state(std::move(providers), std::move(options), state_.get())};
}

}  // namespace backstop::inline v0
