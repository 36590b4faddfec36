#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

namespace detail {
class KeyRing;
}

/// The keys of one provider, given to a target in place of `api_key`: a handle, made by `credentials` for several keys,
/// and by `credentials_from` for one that ends and is fetched anew.
///
/// Of several keys calls use one until the provider refuses it; then the next ready one is tried at once, and used from
/// there on.
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

/// A key as token services give it out: for a time.
struct ExpiringKey {
  std::string key{};            ///< as `api_key`; where requests are signed (AWS) the secret access key
  std::string access_key_id{};  ///< AWS's, to sign with; elsewhere empty
  std::string session_token{};  ///< AWS's, where there is one
  std::optional<WallTime> expires_at{};  ///< empty: it is good until the provider refuses it
};

/// Where the application gets such a key from. It may block, and may be called by several threads, one after the other.
using KeyFunction = std::function<Result<ExpiringKey>()>;

/// A key that the application's function fetches: an access token of a cloud, temporary credentials.
///
/// The function runs on a thread of its own, one call of it at a time. The key is fetched when it is first needed, and
/// anew two minutes before it ends, or in the last tenth of its time where that is shorter. Until it has ended calls go
/// on with the old one; without one that is good they wait for the function, not longer than they may. A key that the
/// provider refuses (`authentication`) is not used again; where the call had not waited for it, it is fetched anew at
/// once and the request sent again, once a call.
///
/// Errors: what the function returns or throws, and a key that has ended or cannot be sent, is an `authentication` error
/// of the target, without a send. The function is then called again after a second at the earliest; until then the error
/// stands.
/// Destroying the last handle waits for a function that runs.
///
/// Example: `auto token = credentials_from([]() -> Result<ExpiringKey> { return ask_metadata_server(); });
///           bedrock({.model = "amazon.nova-pro-v1:0", .credentials = token})`
[[nodiscard]] BACKSTOP_EXPORT Credentials credentials_from(KeyFunction function);

}  // namespace backstop::inline v0
