#pragma once

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

/// How far the attempt in flight has come; written by the provider that sends it, read for its limits and its row of
/// the ledger. A zero point in time means "not yet".
struct AttemptProgress {
  TimePoint started{};        ///< permits acquired, about to send
  TimePoint connecting{};     ///< no longer waits for a connection that others have; zero also where it did not
  TimePoint connected{};      ///< the connection stands, the request goes out
  TimePoint first_byte{};     ///< of the answer
  TimePoint last_byte{};
  TimePoint first_content{};  ///< content, reasoning or a tool call
  bool counts = false;        ///< it is a send, though its error says that nothing went out
  bool network = false;       ///< it goes over a connection, so that `connected` and the bytes will be noted
  bool waits_for_connection = false;  ///< all that there may be are others'
  bool mended = false;        ///< refused for what its provider has seen to: a repeat may be accepted
  bool streamed = false;      ///< the answer comes in pieces, also where the consumer gets it whole

  [[nodiscard]] static constexpr bool reached(TimePoint point) noexcept { return point != TimePoint{}; }
};

}  // namespace backstop::inline v0
