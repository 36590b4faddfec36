#include "call/consumer.hpp"

#include "call/running_call.hpp"

namespace backstop::inline v0::detail {

void Consumer::tell(const StreamEvent& event) noexcept {
  if (!function_ || detached_) return;
  telling_ = true;
  try {
    function_(event);
  } catch (...) {  // documented: dropped
  }
  telling_ = false;
}

void Consumer::on_progress(const ProgressEvent& progress) noexcept {
  if (telling_ || ended_) return;
  const Runtime::Step step{call_->runtime(), call_->root().id()};
  StreamEvent event;
  event.type = StreamEvent::Type::progress;
  event.progress = &progress;
  tell(event);
}

void Consumer::on_event(const StreamEvent& event) noexcept {
  const Runtime::Step step{call_->runtime(), call_->root().id()};
  ended_ = event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed;
  tell(event);
  // Last: behind the end of a stream its consumer's thread may read the result.
  if (sink_ != nullptr) sink_->on_event(event);
}

}  // namespace backstop::inline v0::detail
