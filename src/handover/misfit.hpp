#pragma once

#include <optional>
#include <string_view>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/needs.hpp"

namespace backstop::inline v0 {

/// Why a target cannot take a request, now or later.
struct Misfit {
  ErrorKind kind;
  std::string_view what;  ///< in general words; `unfit` has the figures
};

/// Why this target cannot take the request; nothing when it can, or when the facts to tell are missing.
///
/// Kinds: `unsupported_capability` where the target's `Capabilities` lack a need. `context_window_exceeded` where the
/// conversation is too long for its window beyond reasonable doubt: even at six characters a token, which no ordinary
/// text reaches, runs of white space counted as one character, images and documents as nothing, and without any room
/// for the answer. In doubt the request is sent and the provider decides: a wrong skip loses an answer, a
/// rejected request only a moment. What `needs.requirement` rules out has the kind that the failure had which it comes
/// from, or `local_limit` for a shared failure domain.
///
/// Cost: of the capabilities; the characters are counted only when the estimate is above the window.
[[nodiscard]] BACKSTOP_EXPORT std::optional<Misfit> misfit_of(const Target& target, const ChatRequest& request,
                                                              const Needs& needs) noexcept;
/// The same as an error, with figures in its message.
[[nodiscard]] BACKSTOP_EXPORT std::optional<Error> unfit(const Target& target, const ChatRequest& request,
                                                         const Needs& needs);
[[nodiscard]] inline std::optional<Error> unfit(const Target& target, const ChatRequest& request) {
  return unfit(target, request, needs_of(request));
}

}  // namespace backstop::inline v0
