#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "backstop/chat/error.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

struct Needs;

/// Whether a provider would take a request at a moment, and what that may cost. Asking changes nothing.
///
/// A client answers from its targets: it is fit when one of them is, ready when one of those is, and when none is,
/// gives the standing of the one that is ready first.
struct Standing {
  enum class Verdict : std::uint8_t {
    ready,
    later,  ///< refuses now; `ready_at` says when that may change
    unfit,  ///< cannot take this request, now or later
  };
  /// Whether a call may probe the target before `ready_at`, when every target is out.
  enum class Probe : std::uint8_t { never, after_breakers, breaker };

  Verdict verdict = Verdict::ready;
  bool finds_out = false;  ///< ready, and the call would be a probe of the target
  Probe probe = Probe::never;              ///< with `later`
  ErrorKind why = ErrorKind::circuit_open;  ///< what a call would get, unless ready
  std::optional<ErrorKind> cooling_after{};  ///< with `later`: the failure that set the cooldown
  std::string_view what{};                 ///< unless ready: why, in words; static text
  TimePoint ready_at{};                    ///< with `later`: the earliest moment that changes; the end of time: unknown
  TimePoint soft_limited_until = (TimePoint::min)();  ///< its limits are used up, as it said: others go first until then
  int targets = 1;                         ///< how many there are below
  int ready_targets = 1;                   ///< how many of them could be sent to
  double success_share = 1;                ///< with `Probe::breaker`: of its answers lately
  TimePoint failed_at = (TimePoint::min)();  ///< in this call, the target that would be probed
  const Target* target = nullptr;          ///< whose standing it is; null for what has no name
  // What a send may cost, where `Needs::costs` asks for it; empty when unknown.
  std::optional<Money> least_cost{};       ///< the least that must be left for it, at the cheapest target that is fit
  std::optional<Money> worst_cost{};       ///< at the dearest target that is fit

  [[nodiscard]] bool ready() const noexcept { return verdict == Verdict::ready; }
  [[nodiscard]] bool fit() const noexcept { return verdict != Verdict::unfit; }
  /// When all are out, this one is probed rather than the other.
  [[nodiscard]] bool is_probed_before(const Standing& other) const noexcept {
    return probe > other.probe || (probe == other.probe && success_share > other.success_share);
  }

  /// It refuses until then as well, and a probe would be refused there: who is out in two ways is out for the longer of
  /// them. `words`: static text.
  void put_off(TimePoint until, ErrorKind kind, std::string_view words) noexcept {
    if (ready() || ready_at < until) {
      ready_at = until;
      why = kind;
      what = words;
      cooling_after.reset();
    }
    verdict = Verdict::later;
    probe = Probe::never;
  }

  /// The standing of a client with these two targets.
  [[nodiscard]] BACKSTOP_EXPORT static Standing of_either(const Standing& first, const Standing& second) noexcept;
};

/// The standing as the error that a call would get, `retry_after` included; only where it is not ready.
[[nodiscard]] BACKSTOP_EXPORT Error refusal_of(const Standing& standing, const ChatRequest& request, const Needs& needs,
                                               TimePoint now);

}  // namespace backstop::inline v0
