#pragma once

namespace backstop::inline v0::detail {

/// Another one in every process that was forked: what was made under another number is the parent's.
/// Thread safety: any thread.
[[nodiscard]] unsigned process_number() noexcept;

}  // namespace backstop::inline v0::detail
