#pragma once

#include <string_view>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

/// Whether OpenAI's model of that name reasons: o1, o3, o4-mini and the like, and GPT from 5 on but for those made to
/// chat. A provider's name in front (`openai/gpt-5`) is skipped.
[[nodiscard]] bool is_reasoning_model(std::string_view model) noexcept;

/// OpenAI's reasoning models refuse `temperature` and `top_p`, unless they were told not to reason.
[[nodiscard]] bool takes_sampling(std::string_view model, const ChatRequest& request) noexcept;

}  // namespace backstop::inline v0::detail
