#include "call/consumer.hpp"

#include "call/running_call.hpp"

namespace backstop::inline v0::detail {

void Consumer::tell(const StreamEvent& event) noexcept {
  if (!function_ || detached_) return;
  try {
    function_(event);
  } catch (...) {  // documented: dropped
  }
}

void Consumer::on_progress(const ProgressEvent& progress) noexcept {
  const Runtime::Step step{call_->runtime(), call_->root().id()};
  StreamEvent event;
  event.type = StreamEvent::Type::progress;
  event.progress = &progress;
  tell(event);
}

void Consumer::on_event(const StreamEvent& event) noexcept {
  const Runtime::Step step{call_->runtime(), call_->root().id()};
  tell(event);
  // Last: behind the end of a stream its consumer's thread may read the result.
  if (sink_ != nullptr) sink_->on_event(event);
}

}  // namespace backstop::inline v0::detail
