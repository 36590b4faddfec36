#pragma once

#include <condition_variable>
#include <mutex>

#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// Waits by the machine's clock, whatever clock the runtime has, until `condition`, which is changed with the lock held.
/// False: the time was over first.
[[nodiscard]] bool wait_by_machine(std::condition_variable& changed, std::unique_lock<std::mutex>& lock, Duration span,
                                   const bool& condition);

}  // namespace backstop::inline v0::detail
