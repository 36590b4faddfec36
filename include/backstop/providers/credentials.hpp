#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

namespace detail {
class KeyRing;
}

/// Several keys of one provider, given to a target in place of `api_key`: a handle, made by `credentials`.
///
/// Calls use one key until the provider refuses it; then the next ready one is tried at once, and used from there on.
/// Each send is an attempt with its row in the ledger ("key 2 of 3") and counts against the call's sends. What a
/// refusal means to the key: after a rate limit it rests for as long as the server says; a wrong key or a missing
/// permission (401, 403) put it aside for 5 minutes, an unpaid bill or an exhausted quota for 5 minutes that double up
/// to an hour. When no key is ready, neither is the target (`local_limit`, until the first is), and a call fails over.
///
/// Copies share the state of the keys, and so do all targets that they are given to.
/// Thread safety: all functions from many threads. Keys are never printed, logged or put into an error.
///
/// Example: `auto keys = credentials({std::getenv("KEY_A"), std::getenv("KEY_B")});
///           FallbackClient client{openai({.model = "gpt-5.6-sol", .credentials = keys}),
///                                 openai({.model = "gpt-5.6-mini", .credentials = keys})};`
class BACKSTOP_EXPORT Credentials {
 public:
  /// None: the target has its one key from `api_key` or the environment.
  Credentials() noexcept = default;

  /// A key that rests, and why.
  struct Resting {
    TimePoint until;
    ErrorKind why;
  };

  [[nodiscard]] bool empty() const noexcept { return ring_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept;
  /// The state of each key, in the order in which they were given; empty for one that is ready.
  [[nodiscard]] std::vector<std::optional<Resting>> resting(TimePoint now) const;
  /// All keys are ready again.
  void reset() const noexcept;

 private:
  friend class detail::KeyRing;
  explicit Credentials(std::shared_ptr<const detail::KeyRing> ring) noexcept : ring_{std::move(ring)} {}

  std::shared_ptr<const detail::KeyRing> ring_;
};

/// Throws std::invalid_argument for no keys, and for one that is empty, given twice, or cannot be sent.
[[nodiscard]] BACKSTOP_EXPORT Credentials credentials(std::vector<std::string> keys);

/// The keys that these environment variables hold. Throws std::invalid_argument for one that is not set, as above.
///
/// Example: `openai({.model = "gpt-5.6-sol", .credentials = credentials_from_env({"OPENAI_KEY_A", "OPENAI_KEY_B"})})`
[[nodiscard]] BACKSTOP_EXPORT Credentials credentials_from_env(const std::vector<std::string>& variables);

}  // namespace backstop::inline v0
