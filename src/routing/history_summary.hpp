#pragma once

#include <optional>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"
#include "handover/reduce.hpp"
#include "routing/walk.hpp"

namespace backstop::inline v0::detail {

/// What the provider is asked. `request`: the call's.
[[nodiscard]] ChatRequest summary_request(const Walk::SummaryWanted& wanted, const ChatRequest& request);
/// Its context; `to_come`: targets that are ready, for which time and a send are kept.
[[nodiscard]] CallContext summary_context(const CallContext& outer, Branch& branch, Requirement& requirement, int to_come);
/// Why it is not asked now; empty when it is.
[[nodiscard]] std::optional<Error> summary_refusal(const Walk::SummaryWanted& wanted, const ChatRequest& asked,
                                                   const CallContext& context);

/// Asks for a summary beside the call. Where none comes of it, that says why; an error: the call itself was stopped.
/// The arguments outlive the task.
[[nodiscard]] Task<Result<HistorySummary>> ask_for_summary(const Walk::SummaryWanted& wanted, const ChatRequest& request,
                                                           const CallContext& outer, int to_come);

}  // namespace backstop::inline v0::detail
