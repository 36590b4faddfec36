#include "routing/stream_rescue.hpp"

namespace backstop::inline v0::detail {

StreamRescue::StreamRescue(MidStream policy, const std::optional<StreamHold>& hold, const ChatRequest& request,
                           CallContext& context)
    : policy_{policy}, request_{&request}, context_{&context} {
  if (!context.streaming()) return;
  StreamSink* consumer = context.sink();
  if (policy == MidStream::resume) {
    resumable_ = std::make_unique<ResumableStream>(context, *consumer);
    consumer = resumable_.get();
  }
  if (hold && !context.committed()) held_ = std::make_unique<HeldStream>(*hold, context, *consumer);
}

void StreamRescue::enter(const Target& next, CallContext& inner) {
  if (restarting_) {
    StreamEvent event;
    event.type = StreamEvent::Type::restarted;
    event.target = next;
    context_->emit(event);
    context_->state().committed = false;
    restarting_ = false;
  }
  if (held_) {
    inner.set_sink(held_.get());
  } else if (resumable_) {
    inner.set_sink(resumable_.get());
  }
}

void StreamRescue::stamp(Error& error) {
  if (held_) held_->forget();
  delivered_ = delivered_ || error.committed || context_->committed();
  error.committed = delivered_;
  if (!delivered_) {
    error.partial_text.clear();
  } else if (resumable_) {
    error.partial_text = resumable_->text();
  }
}

bool StreamRescue::can_go_on() {
  if (context_->state().tool_call_delivered) return false;
  switch (policy_) {
    case MidStream::fail: return false;
    case MidStream::restart: restarting_ = true; return true;
    case MidStream::resume: break;
  }
  if (!resumable_ || !resumable_->can_resume()) return false;
  rest_ = std::make_unique<const ChatRequest>(resumable_->begin_rest(*request_));
  context_->state().committed = false;  // nothing of the rest has been delivered
  return true;
}

void StreamRescue::finish(ChatResponse& response) {
  if (held_) held_->let_go();
  if (resumable_) resumable_->finish(response);
}

}  // namespace backstop::inline v0::detail
