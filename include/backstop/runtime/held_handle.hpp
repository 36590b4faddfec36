#pragma once

namespace backstop::inline v0 {

/// A handle (a breaker, a limit) that the call holds a permit of, from the policy that has taken it inward, and those
/// held further out. The same handle further in lets the call pass without a second permit. It lives in the coroutine
/// that holds the permit.
struct HeldHandle {
  const void* handle;
  const HeldHandle* outer;  ///< null: none
  mutable bool in_use = false;  ///< a call is under way by it, where it is for one at a time
};

/// The innermost of that handle; null: none.
[[nodiscard]] inline const HeldHandle* find_held(const HeldHandle* innermost, const void* handle) noexcept {
  while (innermost != nullptr && innermost->handle != handle) innermost = innermost->outer;
  return innermost;
}
[[nodiscard]] inline bool is_held(const HeldHandle* innermost, const void* handle) noexcept {
  return find_held(innermost, handle) != nullptr;
}

}  // namespace backstop::inline v0
