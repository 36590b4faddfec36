#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backstop/providers/credentials.hpp"
#include "renewed_key.hpp"
#include "state/cooldown.hpp"

namespace backstop::inline v0::detail {

/// The keys behind a `Credentials` handle, and until when each is better left alone.
class KeyRing {
 public:
  explicit KeyRing(std::vector<std::string> keys) : keys_{std::move(keys)}, cooldowns_(keys_.size()) {}
  /// Of one key, which is fetched.
  explicit KeyRing(KeyFunction function)
      : keys_(1), cooldowns_(1), renewed_{std::make_unique<RenewedKey>(std::move(function))} {}

  [[nodiscard]] static const KeyRing& of(const Credentials& credentials) noexcept { return *credentials.ring_; }
  [[nodiscard]] static Credentials handle(std::shared_ptr<const KeyRing> ring) noexcept {
    return Credentials{std::move(ring)};
  }

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  [[nodiscard]] const std::string& key(std::size_t index) const noexcept { return keys_[index]; }
  /// The one key where it is fetched, in place of `key(0)`; else null.
  [[nodiscard]] RenewedKey* renewed() const noexcept { return renewed_.get(); }
  [[nodiscard]] Cooldown& cooldown(std::size_t index) const noexcept { return cooldowns_[index]; }

  /// The key that worked last, where a call begins.
  [[nodiscard]] std::size_t current() const noexcept { return current_.load(std::memory_order_relaxed); }
  /// Later calls begin with the key after this one, unless another call has moved on already.
  void pass_on(std::size_t from) const noexcept {
    current_.compare_exchange_strong(from, (from + 1) % size(), std::memory_order_relaxed);
  }

  /// The key that is ready first, when none is now.
  struct Soonest {
    std::size_t index;
    Cooldown::Active resting;
  };
  [[nodiscard]] std::optional<Soonest> none_ready(TimePoint now) const noexcept;

 private:
  std::vector<std::string> keys_;
  mutable std::vector<Cooldown> cooldowns_;
  mutable std::atomic<std::size_t> current_{0};
  std::unique_ptr<RenewedKey> renewed_;
};

}  // namespace backstop::inline v0::detail
