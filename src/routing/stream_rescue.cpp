#include "routing/stream_rescue.hpp"

#include <utility>

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

StreamRescue::~StreamRescue() {
  if (delivered_) context_->branch().commit(false);
}

void StreamRescue::enter(CallContext& inner) {
  if (held_) {
    inner.set_sink(held_.get());
  } else if (resumable_) {
    inner.set_sink(resumable_.get());
  } else if (restart_) {
    inner.set_sink(restart_.get());
  }
}

void StreamRescue::stamp(Error& error) {
  if (StreamSink* sink = held_ ? held_.get() : context_->sink()) sink->on_attempt_failed();
  const bool now = context_->committed();  // whatever the error says
  delivered_ = delivered_ || now;
  if (resumable_) {
    partial_ = resumable_->text();
  } else if (now && !(restart_ && restart_->pending())) {
    partial_ = error.partial_text;
  }
  error.committed = delivered_;
  if (delivered_) {
    error.partial_text = partial_;
  } else {
    error.partial_text.clear();
  }
}

Error StreamRescue::ended(Error error) {
  stamp(error);
  if (error.committed) context_->branch().commit(false);
  return error;
}

bool StreamRescue::can_go_on(const Error& error) {
  Branch& branch = context_->branch();
  if (branch.tool_call_delivered()) return false;
  switch (policy_) {
    case MidStream::fail: return false;
    case MidStream::restart:
      if (!restart_) {
        restart_ = std::make_unique<RestartSink>(*context_->sink());
        if (held_) held_->set_consumer(*restart_);
      }
      restart_->announce();
      branch.take_back();
      return true;
    case MidStream::resume: break;
  }
  // What was refused is not gone on from.
  if (error.cause == ErrorKind::rejected_response) return false;
  if (!resumable_ || !resumable_->can_resume()) return false;
  rest_ = std::make_unique<const ChatRequest>(resumable_->begin_rest(*request_));
  branch.take_back();  // nothing of the rest has been delivered
  return true;
}

void StreamRescue::finish(ChatResponse& response) {
  if (held_) held_->hand_over_all();
  if (restart_) restart_->begin_anew();  // an answer without any content
  if (resumable_) resumable_->finish(response);
}

}  // namespace backstop::inline v0::detail
