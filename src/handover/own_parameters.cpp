#include "handover/own_parameters.hpp"

#include <algorithm>
#include <vector>

namespace backstop::inline v0::detail {
namespace {

template <class T>
[[nodiscard]] bool says(const std::optional<T>& value) noexcept {
  return value.has_value();
}
[[nodiscard]] bool says(const std::string& value) noexcept { return !value.empty(); }
[[nodiscard]] bool says(const std::vector<std::string>& value) noexcept { return !value.empty(); }

/// Hands every parameter to `visit`: its name, the target's value, and where the request has it. They are taken apart
/// by name, so that a new one does not compile until it is here.
template <class Visit>
void visit_parameters(const Parameters& own, Visit visit) {
  const auto& [max_output_tokens, temperature, top_p, top_k, frequency_penalty, presence_penalty, seed, stop,
               reasoning_effort, service_tier] = own;
  visit("max_output_tokens", max_output_tokens, &ChatRequest::max_output_tokens);
  visit("temperature", temperature, &ChatRequest::temperature);
  visit("top_p", top_p, &ChatRequest::top_p);
  visit("top_k", top_k, &ChatRequest::top_k);
  visit("frequency_penalty", frequency_penalty, &ChatRequest::frequency_penalty);
  visit("presence_penalty", presence_penalty, &ChatRequest::presence_penalty);
  visit("seed", seed, &ChatRequest::seed);
  visit("stop", stop, &ChatRequest::stop);
  visit("reasoning_effort", reasoning_effort, &ChatRequest::reasoning_effort);
  visit("service_tier", service_tier, &ChatRequest::service_tier);
}

/// Whether the effort was taken out of the request: then none is put in its place.
[[nodiscard]] bool effort_is_given_up(const ChatRequest& request, const GivenUp& given_up) noexcept {
  return given_up.continued ||
         (given_up.whole != nullptr && !given_up.whole->reasoning_effort.empty() && request.reasoning_effort.empty());
}

}  // namespace

std::optional<std::int64_t> output_limit_of(const Target& target, const ChatRequest& request,
                                            const GivenUp& given_up) noexcept {
  const ModelFacts& facts = target.facts();
  const std::optional<std::int64_t>& own = facts.overrides.max_output_tokens;
  if (!own) return request.max_output_tokens ? request.max_output_tokens : facts.defaults.max_output_tokens;
  const bool lowered = (given_up.shortened || given_up.continued) && request.max_output_tokens.has_value();
  return lowered ? std::min(*own, *request.max_output_tokens) : *own;
}

std::optional<double> temperature_of(const Target& target, const ChatRequest& request) noexcept {
  const ModelFacts& facts = target.facts();
  if (facts.overrides.temperature) return facts.overrides.temperature;
  return request.temperature ? request.temperature : facts.defaults.temperature;
}

bool is_asked_to_reason(const Target& target, const ChatRequest& request, const Needs& needs) noexcept {
  const ModelFacts& facts = target.facts();
  // Of the request it was, or is going to be, taken out.
  if (effort_is_given_up(request, GivenUp{needs})) return needs.reasoning;
  if (!needs.reasoning && asks_for_reasoning(request.reasoning_effort)) return false;
  if (says(facts.overrides.reasoning_effort)) return asks_for_reasoning(facts.overrides.reasoning_effort);
  if (!says(request.reasoning_effort)) return needs.reasoning || asks_for_reasoning(facts.defaults.reasoning_effort);
  return needs.reasoning;
}

OwnRequest::OwnRequest(const ChatRequest& original, const Target& target, const GivenUp& given_up)
    : original_{&original} {
  const ModelFacts& facts = target.facts();
  if (facts.defaults == Parameters{} && facts.overrides == Parameters{}) return;
  const std::optional<std::int64_t> limit = output_limit_of(target, original, given_up);
  const bool no_effort = effort_is_given_up(original, given_up);
  const auto is_effort = [](std::string_view name) { return name == "reasoning_effort"; };
  visit_parameters(facts.defaults, [&](std::string_view name, const auto& own, auto member) {
    if (!says(own) || says(original.*member) || (is_effort(name) && no_effort)) return;
    change().*member = own;
  });
  visit_parameters(facts.overrides, [&](std::string_view name, const auto& own, auto member) {
    if (!says(own) || original.*member == own || (is_effort(name) && no_effort)) return;
    if (name == "max_output_tokens" && limit == original.max_output_tokens) return;
    change().*member = own;
    if (says(original.*member)) replaced_.append(replaced_.empty() ? "" : ", ").append(name);
  });
  if (changed_) changed_->max_output_tokens = limit;  // what was lowered stays so
}

ChatRequest& OwnRequest::change() {
  if (!changed_) changed_ = std::make_unique<ChatRequest>(*original_);
  return *changed_;
}

std::string OwnRequest::note() const {
  return replaced_.empty() ? std::string{} : replaced_ + " replaced by the target's own";
}

}  // namespace backstop::inline v0::detail
