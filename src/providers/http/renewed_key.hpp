#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "backstop/providers/credentials.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0::detail {

/// A key as it was fetched.
struct FetchedKey {
  ExpiringKey key;
  std::uint64_t number = 0;  ///< of the fetch, counted from 1
  WallTime renew_at{};
  WallTime ends_at{};
};
using KeptKey = std::shared_ptr<const FetchedKey>;

/// The key behind `credentials_from`: fetched by the application's function on a thread of its own, which calls wait
/// for where they have to, on any runtime.
///
/// Thread safety: all functions from any thread. A process that was forked begins without a key.
class RenewedKey {
 public:
  explicit RenewedKey(KeyFunction function);
  /// Waits for a function that runs, unless it is the function that destroys it.
  ~RenewedKey();
  RenewedKey(const RenewedKey&) = delete;
  RenewedKey& operator=(const RenewedKey&) = delete;

  struct Got {
    KeptKey key;
    bool fetched_for_this = false;  ///< the call has waited for it
  };
  /// The key that is good now; fetches it, or the next one, where it is time.
  /// Errors: `authentication` where the function has none, the stop's error, `local_limit` without a thread. All of
  /// them before anything is sent.
  Task<Result<Got>> get(const CallContext& context);
  /// The provider has refused that key: it is not used again.
  void drop(std::uint64_t number);

 private:
  struct State;
  struct Asked;
  [[nodiscard]] State& state() const;
  [[nodiscard]] Asked ask(WallTime wall, TimePoint now);

  KeyFunction function_;
  mutable std::atomic<State*> state_;  // of this process
};

}  // namespace backstop::inline v0::detail
