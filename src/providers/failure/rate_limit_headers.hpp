#pragma once

#include <optional>

#include "backstop/chat/rate_limit_status.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_transport.hpp"

namespace backstop::inline v0::detail {

/// What the headers of an answer, good or bad, say of the provider's limits; empty when they say nothing.
///
/// Where several limits of one kind are told (a minute's and a day's, a project's and an organisation's), the one with
/// the least left counts, whole. A negative `remaining` means that nothing is left. Numbers that are none, spans that
/// are not above zero or longer than 31 days, and values of more than 64 characters are passed over.
///
/// Cost: a look at each header's first bytes when there are none of these; no allocation in any case. The clock is read
/// only for resets.
[[nodiscard]] std::optional<RateLimitStatus> rate_limit_status(const HttpResponseHead& head,
                                                               const Clock& clock) noexcept;

}  // namespace backstop::inline v0::detail
