#pragma once

#include <future>
#include <utility>

#include "backstop/policies/intercept.hpp"

namespace backstop::faults {

/// Keeps the end of a call back until `asked` is set: who registers a callback first is called by the driver's thread,
/// however fast the answer came.
inline Policy ends_after(std::shared_future<void> asked) {
  return intercept(
      {.after = [asked = std::move(asked)](const ChatRequest&, Result<ChatResponse>&) { asked.wait(); }});
}

}  // namespace backstop::faults
