#pragma once

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// How far the attempt in flight has come; written by the provider that sends it, read by the `timeout` policy and for
/// the ledger. A zero point in time means "not yet".
struct AttemptProgress {
  TimePoint started{};        ///< permits acquired, about to send
  TimePoint connected{};      ///< the connection stands, the request goes out
  TimePoint first_byte{};     ///< of the answer
  TimePoint last_byte{};
  TimePoint first_content{};  ///< content, reasoning or a tool call
  bool network = false;       ///< it goes over a connection, so that `connected` and the bytes will be noted
  bool ended = false;

  [[nodiscard]] static constexpr bool reached(TimePoint point) noexcept { return point != TimePoint{}; }
};

/// Told when the attempt below has brought its first content, whether or not it streams: the moment at which a
/// circuit breaker's probe and a latency measurement have their answer. Called once per attempt at most.
class ContentListener {
 public:
  virtual void on_first_content(TimePoint at) noexcept = 0;

 protected:
  ~ContentListener() = default;

 private:
  friend class CallContext;
  ContentListener* outer_ = nullptr;
};

}  // namespace backstop::inline v0
