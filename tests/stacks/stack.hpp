#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/state/budget.hpp"
#include "backstop/state/circuit_breaker.hpp"
#include "backstop/state/concurrency_limit.hpp"
#include "backstop/state/rate_limit.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "stacks/case.hpp"
#include "stacks/own_code.hpp"

namespace stacks {

/// Keeps what became of every call, whoever dropped its handle.
class CallLog final : public backstop::Observer {
 public:
  struct Call {
    backstop::Ledger attempts;
    backstop::Duration elapsed{0};
    backstop::Money cost;
    std::optional<backstop::ErrorKind> failed;
  };

  void on_call(const backstop::CallEvent& event) noexcept override {
    const std::lock_guard lock{mutex_};
    Call& call = calls_.emplace_back();
    call.attempts = event.attempts;
    call.elapsed = event.elapsed;
    call.cost = event.cost;
    if (event.error != nullptr) call.failed = event.error->kind;
  }
  [[nodiscard]] const std::vector<Call>& calls() const noexcept { return calls_; }

 private:
  std::mutex mutex_;
  std::vector<Call> calls_;
};

/// A target as it was made, to be asked what was sent to it.
struct Leaf {
  backstop::Target target;
  std::optional<backstop::testing::ScriptedProvider> scripted;
  std::optional<OwnProvider> own;

  [[nodiscard]] std::size_t send_count() const { return scripted ? scripted->send_count() : own->send_count(); }
  [[nodiscard]] std::vector<ChatRequest> requests() const;
};

/// A cap on one call, and the targets below it.
struct RequestCap {
  backstop::Money limit;
  std::vector<bool> covers;  ///< by leaf
};

/// The tree of a case, built, with everything that can be asked afterwards.
struct Stack {
  Stack(const Case& made_of, std::shared_ptr<backstop::Runtime> runtime);

  std::vector<Leaf> leaves;
  std::array<std::optional<backstop::Budget>, 2> budgets;
  std::array<std::vector<bool>, 2> charged;  ///< by budget and leaf: whether a cap with it is around
  std::array<std::optional<backstop::RateLimit>, 2> rate_limits;
  std::array<std::optional<backstop::ConcurrencyLimit>, 2> bulkheads;
  std::array<std::optional<backstop::ConcurrencyLimit>, 2> adaptives;
  std::array<std::shared_ptr<backstop::CircuitBreaker>, 2> breakers;
  std::vector<RequestCap> request_caps;
  std::shared_ptr<CallLog> log = std::make_shared<CallLog>();
  std::optional<backstop::FallbackClient> client;

  /// Targets by their leaves, for `CallOptions::targets`.
  [[nodiscard]] std::vector<std::string> names(const std::vector<int>& targets) const;
  /// What stands around the client for one call.
  [[nodiscard]] std::optional<backstop::Policy> around(const ConsumerSpec& consumer);

 private:
  struct Covered;

  [[nodiscard]] backstop::FallbackClient client_of(const Node& node, bool is_root);
  [[nodiscard]] backstop::Provider provider_of(const Node& node);
  [[nodiscard]] backstop::Policy policy_of(const PolicySpec& spec);
  void note_cap(const PolicySpec& spec, const Node& node);

  const Case* case_;
  std::shared_ptr<backstop::Runtime> runtime_;
};

[[nodiscard]] ChatRequest request_of(const RequestSpec& spec, int number);
/// Whether the target is beyond doubt unable to take the request.
[[nodiscard]] bool misfit(const LeafSpec& leaf, const RequestSpec& request) noexcept;

}  // namespace stacks
