#pragma once

#include <string_view>

#include "backstop/chat/rejected_answer.hpp"
#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

inline constexpr std::string_view reasons_mark = "{reasons}";

/// The request again, behind it the refused answer as the assistant's turn and the reasons as the user's. Calls in that
/// answer get a result that says that they were not made. `wording` has `reasons_mark` where the reasons stand.
[[nodiscard]] ChatRequest with_feedback(const ChatRequest& request, const RejectedAnswer& rejected,
                                        std::string_view wording);

}  // namespace backstop::inline v0::detail
