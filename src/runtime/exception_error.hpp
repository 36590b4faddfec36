#pragma once

#include <string_view>

#include "backstop/chat/error.hpp"
#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::detail {

/// What a call fails with that has no memory to go on: `local_limit`, which says nothing of a target. Takes no memory.
[[nodiscard]] Error out_of_memory() noexcept;

/// What the exception in flight says, as an error: `server_error`, so that another target is asked; of a `BadResult` the
/// error in it, of `std::bad_alloc` the one above. `who` threw it. Call inside a `catch` only.
[[nodiscard]] Error error_from_exception(std::string_view who) noexcept;

/// The exception in flight as the failure of a target's provider, with a row: nothing else is known of what was sent.
/// Call inside a `catch` only.
[[nodiscard]] Error error_thrown_by(const Target& target, const CallContext& context) noexcept;

}  // namespace backstop::inline v0::detail
