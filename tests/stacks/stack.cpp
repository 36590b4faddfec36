#include "stacks/stack.hpp"

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "backstop/policies/intercept.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/testing/faults.hpp"
#include "stacks/options.hpp"

namespace stacks {
namespace {

using namespace backstop;
using std::chrono::milliseconds;

std::string name_of(int leaf) { return "p" + std::to_string(leaf); }

Target target_of(const LeafSpec& spec, int number) {
  ModelFacts facts;
  const auto per_million = [](double input, double output) {
    return Price{.input = Money::usd_per_million(input), .output = Money::usd_per_million(output)};
  };
  if (spec.price == PriceSpec::zero) facts.price = Price{};
  if (spec.price == PriceSpec::cheap) facts.price = per_million(1, 2);
  if (spec.price == PriceSpec::dear) facts.price = per_million(5, 20);
  if (spec.window > 0) facts.context_window = spec.window;
  facts.capabilities.tools = spec.tools;
  facts.capabilities.vision = spec.vision;
  facts.capabilities.prefill = spec.prefill;
  if (spec.default_output > 0) facts.defaults.max_output_tokens = spec.default_output;
  if (spec.override_output > 0) facts.overrides.max_output_tokens = spec.override_output;
  if (spec.always_cold) facts.overrides.temperature = 0.0;
  return Target{name_of(number), "m", facts};
}

testing::Step step_of(const StepSpec& spec, int leaf) {
  testing::Step step;
  if (spec.fault != StepSpec::answers) {
    static const auto faults = testing::every_fault();
    step = faults[static_cast<std::size_t>(spec.fault) % faults.size()].step;
  } else {
    step = pieces(spec.pieces, "ANSWER-MARK " + name_of(leaf) + " ", milliseconds{spec.gap});
    if (spec.usage) step.usage(3, spec.written);
  }
  if (spec.latency > 0) step.after(milliseconds{spec.latency});
  return step;
}

OwnProvider::Does does(LeafKind kind) noexcept {
  switch (kind) {
    case LeafKind::custom_throws: return OwnProvider::Does::throws;
    case LeafKind::custom_throws_plain: return OwnProvider::Does::throws_plain;
    case LeafKind::custom_emits: return OwnProvider::Does::emits;
    case LeafKind::custom_claims: return OwnProvider::Does::claims;
    default: return OwnProvider::Does::answers;
  }
}

Leaf leaf_of(const LeafSpec& spec, int number) {
  Leaf leaf;
  leaf.target = target_of(spec, number);
  if (spec.kind != LeafKind::scripted) {
    leaf.own.emplace(leaf.target, does(spec.kind));
    return leaf;
  }
  std::vector<testing::Step> steps;
  for (const StepSpec& step : spec.script) steps.push_back(step_of(step, number));
  leaf.scripted.emplace(leaf.target, std::move(steps));
  return leaf;
}

void mark_leaves(const Node& node, std::vector<bool>& covers) {
  if (node.leaf >= 0) covers[static_cast<std::size_t>(node.leaf)] = true;
  for (const Node& child : node.children) mark_leaves(child, covers);
}

Policy before_policy(int level) {
  InterceptOptions options;
  if (level == before_refuses) {
    options.before = [](RequestEdit&) -> Result<void> { return Error{ErrorKind::invalid_request, "not like this"}; };
  } else if (level == before_throws) {
    options.before = [](RequestEdit&) -> Result<void> { throw std::runtime_error{"before threw"}; };
  } else {
    options.before = [](RequestEdit& edit) -> Result<void> {
      edit.edit().metadata.tags.emplace_back("team", "search");
      return {};
    };
  }
  return intercept(std::move(options));
}

Policy after_policy(int level) {
  InterceptOptions options;
  if (level == after_throws) {
    options.after = [](const ChatRequest&, Result<ChatResponse>&) { throw std::runtime_error{"after threw"}; };
  } else if (level == after_rescues) {
    options.after = [](const ChatRequest&, Result<ChatResponse>& result) {
      if (!result && result.error().kind == ErrorKind::local_limit) result = own_answer("ANSWER-MARK rescued");
    };
  } else if (level == after_rejects) {
    options.after = [](const ChatRequest&, Result<ChatResponse>& result) {
      if (result) result = Error{ErrorKind::rejected_response, "not good enough"};
    };
  } else {
    options.after = [](const ChatRequest&, Result<ChatResponse>&) {};
  }
  return intercept(std::move(options));
}

Policy around_policy(int level) {
  InterceptOptions options;
  switch (level) {
    case around_again: options.around = again; break;
    case around_sleeps: options.around = sleeps_first; break;
    case around_never: options.around = never; break;
    case around_refuses: options.around = refuses; break;
    case around_throws_before: options.around = throws_before; break;
    case around_throws_after: options.around = throws_after; break;
    default: options.around = once; break;
  }
  return intercept(std::move(options));
}

template <class T, class Make>
T& shared(std::optional<T>& handle, Make make) {
  if (!handle) handle.emplace(make());
  return *handle;
}

}  // namespace

std::vector<ChatRequest> Leaf::requests() const {
  if (own) return own->requests();
  std::vector<ChatRequest> requests;
  for (const auto& send : scripted->sends()) requests.push_back(send.request);
  return requests;
}

Stack::Stack(const Case& made_of, std::shared_ptr<Runtime> runtime) : case_{&made_of}, runtime_{std::move(runtime)} {
  for (std::size_t i = 0; i < made_of.leaves.size(); ++i) {
    leaves.push_back(leaf_of(made_of.leaves[i], static_cast<int>(i)));
  }
  for (auto& leaf : charged) leaf.resize(leaves.size(), false);
  client.emplace(client_of(made_of.root, true));
}

// The one place where the options of a client are made.
FallbackClient Stack::client_of(const Node& node, bool is_root) {
  std::vector<Provider> providers;
  for (const Node& child : node.children) providers.push_back(provider_of(child));
  FallbackOptions options;
  options.runtime = runtime_;
  options.mid_stream = std::array{MidStream::fail, MidStream::restart,
                                  MidStream::resume}[static_cast<std::size_t>(node.client.mid_stream) % 3];
  if (node.client.hold) options.hold = StreamHold{.tokens = 10, .time = milliseconds{200}};
  if (node.client.max_attempts > 0) options.limits.max_attempts = node.client.max_attempts;
  if (node.client.deadline > 0) options.limits.deadline = milliseconds{node.client.deadline};
  options.fall_back_on_content_filter = node.client.filter_falls_back;
  if (node.client.with_draft) options.escalation = Escalation::with_draft;
  if (node.client.hedge >= 0) options.hedge = at_level(tables::hedge, node.client.hedge).value;
  options.strategy = at_level(tables::strategy, node.client.strategy).value;
  options.recovery = at_level(tables::recovery, node.client.recovery).value;
  options.degrade = at_level(tables::degrade, node.client.degrade).value.ladder;
  options.degrade_early = at_level(tables::degrade, node.client.degrade).value.early;
  for (Rung& rung : options.degrade) {
    if (rung.answers) rung.answers.emplace();  // each case its own
    if (rung.summarized_by) rung.summarized_by = summary_writer();
  }
  if (is_root) options.observers = {log};
  return FallbackClient{std::move(providers), std::move(options)};
}

Provider Stack::provider_of(const Node& node) {
  const auto bare = [&]() -> Provider {
    if (node.leaf < 0) return client_of(node, false);
    const Leaf& leaf = leaves[static_cast<std::size_t>(node.leaf)];
    if (leaf.own) return *leaf.own;
    return *leaf.scripted;
  };
  Provider provider = bare();
  for (const PolicySpec& policy : node.policies) {
    note_cap(policy, node);
    provider = std::move(provider) | policy_of(policy);
  }
  return provider;
}

std::vector<std::string> Stack::names(const std::vector<int>& targets) const {
  std::vector<std::string> all;
  for (const int leaf : targets) all.push_back(leaves[static_cast<std::size_t>(leaf)].target.name());
  return all;
}

std::optional<Policy> Stack::around(const ConsumerSpec& consumer) {
  std::optional<Policy> all;
  for (const PolicySpec& policy : consumer.around) all = all ? *all | policy_of(policy) : policy_of(policy);
  return all;
}

void Stack::note_cap(const PolicySpec& spec, const Node& node) {
  if (spec.kind != PolicyKind::cap_request && spec.kind != PolicyKind::cap_budget) return;
  std::vector<bool> covers(case_->leaves.size(), false);
  mark_leaves(node, covers);
  if (spec.kind == PolicyKind::cap_request) {
    request_caps.push_back({at_level(tables::cap, spec.level).value, std::move(covers)});
    return;
  }
  auto& charges = charged[static_cast<std::size_t>(spec.handle) % 2];
  for (std::size_t i = 0; i < covers.size(); ++i) charges[i] = charges[i] || covers[i];
}

Policy Stack::policy_of(const PolicySpec& spec) {
  const auto handle = static_cast<std::size_t>(spec.handle) % 2;
  switch (spec.kind) {
    case PolicyKind::retry: return retry(at_level(tables::retry, spec.level).value);
    case PolicyKind::timeout: return timeout(at_level(tables::timeout, spec.level).value);
    case PolicyKind::breaker:
      if (!breakers[handle]) breakers[handle] = CircuitBreaker::create(at_level(tables::breaker, spec.level).value);
      return circuit_breaker(breakers[handle]);
    case PolicyKind::cap_request:
      return cost_cap(CostCapOptions{.per_request = at_level(tables::cap, spec.level).value});
    case PolicyKind::cap_budget:
      return cost_cap(shared(budgets[handle], [&] {
        return Budget{{.per_period = at_level(tables::cap, spec.level).value, .period = std::chrono::hours{10'000}}};
      }));
    case PolicyKind::rate_limit:
      return rate_limit(shared(rate_limits[handle],
                               [&] { return RateLimit{at_level(tables::rate_limit, spec.level).value}; }));
    case PolicyKind::bulkhead:
      return bulkhead(shared(bulkheads[handle],
                             [&] { return ConcurrencyLimit{at_level(tables::bulkhead, spec.level).value}; }));
    case PolicyKind::adaptive:
      return adaptive_concurrency(shared(
          adaptives[handle], [&] { return ConcurrencyLimit{at_level(tables::adaptive, spec.level).value}; }));
    case PolicyKind::cache: return cache(at_level(tables::cache, spec.level).value);
    case PolicyKind::single_flight: return single_flight();
    case PolicyKind::before: return before_policy(spec.level);
    case PolicyKind::after: return after_policy(spec.level);
    case PolicyKind::around: return around_policy(spec.level);
    case PolicyKind::probe: return probed(spec.level == 0);
    case PolicyKind::decorator:
      return own_policy(std::array{OwnDecorator::Does::passes, OwnDecorator::Does::again,
                                   OwnDecorator::Does::throws}[static_cast<std::size_t>(spec.level) % 3]);
    case PolicyKind::floor: return quality_floor(spec.level);
  }
  throw std::logic_error{"a policy of no kind"};
}

ChatRequest request_of(const RequestSpec& spec, int number) {
  std::string prompt = "PROMPT-MARK q" + std::to_string(number);
  if (spec.long_prompt) prompt += std::string(7 * small_window, 'a');
  ChatRequest request{std::move(prompt)};
  for (int turn = 0; turn < spec.old_turns; ++turn) {
    request.messages.insert(request.messages.begin(), Message::user("PROMPT-MARK" + std::string(7 * small_window, 'b')));
  }
  request.metadata.session_id = "session " + std::to_string(number % 2);
  if (spec.image) request.messages.back().parts.emplace_back(Image{.url = "https://example.org/a.png"});
  if (spec.tools) request.tools.push_back(Tool{.name = "search"});
  if (spec.cold) request.temperature = 0.0;
  if (spec.max_output > 0) request.max_output_tokens = spec.max_output;
  request.headers.emplace_back("authorization", "KEY-MARK");
  return request;
}

bool misfit(const LeafSpec& leaf, const RequestSpec& request) noexcept {
  return (request.tools && !leaf.tools) || (request.image && !leaf.vision) ||
         ((request.long_prompt || request.old_turns > 0) && leaf.window == small_window);
}

}  // namespace stacks
