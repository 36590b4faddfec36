#pragma once

#include <optional>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/call_context.hpp"
#include "routing/ladder.hpp"

namespace backstop::inline v0::detail {

/// The first answer that `cached` or `canned` of the ladders has in place of a failure, streamed where the call is; else
/// the failure: where there is none, where content was delivered, and where the application ended the call or its
/// request is at fault.
[[nodiscard]] Result<ChatResponse> ladder_answer(const std::vector<const Ladder*>& ladders, const ChatRequest& request,
                                                 const CallContext& context, Error failure, bool filters_fall_back);
/// The answer that this would be; its `Degradation::reason` says when. Empty where the ladders have none now.
[[nodiscard]] std::optional<ChatResponse> answer_of(const std::vector<const Ladder*>& ladders,
                                                    const ChatRequest& request, TimePoint now);
/// For `cached`: keeps an answer that is whole and that nothing was given up for.
void keep_answer(const Ladder& ladder, const ChatRequest& request, const ChatResponse& answer, TimePoint now);

}  // namespace backstop::inline v0::detail
