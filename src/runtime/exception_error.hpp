#pragma once

#include <string_view>

#include "backstop/chat/error.hpp"

namespace backstop::inline v0::detail {

/// What the exception in flight says, as an error: `server_error`, so that another target is asked; of a `BadResult` the
/// error in it. `who` threw it. Call inside a `catch` only.
[[nodiscard]] Error error_from_exception(std::string_view who) noexcept;

}  // namespace backstop::inline v0::detail
