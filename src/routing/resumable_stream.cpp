#include "routing/resumable_stream.hpp"

#include <string_view>

#include "handover/continuation.hpp"
#include "routing/ladder.hpp"

namespace backstop::inline v0::detail {

bool ResumableStream::can_resume() const noexcept {
  return !tool_call_begun_ && !text_incomplete_ && text_.find_first_not_of(" \t\r\n") != std::string::npos;
}

ChatRequest ResumableStream::begin_rest(const ChatRequest& original) {
  given_ = text_;
  const std::string* before = context_->hint().text_so_far;
  text_so_far_ = before != nullptr ? *before + given_ : given_;
  comparing_ = true;
  rest_.clear();
  dropped_ = 0;
  return continue_from(original, given_);
}

void ResumableStream::finish(ChatResponse& response) {
  if (given_.empty()) return;
  if (comparing_) compare(true);
  response.degradation = degradation_;
  put_before(response, given_, dropped_);
}

void ResumableStream::on_attempt(const Target& target) noexcept {
  if (!given_.empty()) {
    // It goes on where others have broken off: to the consumer that is no new beginning.
    if (text_.size() != given_.size()) return;
    comparing_ = true;
    rest_.clear();
    dropped_ = 0;
    return;
  }
  forget_what_is_kept();
  consumer_->on_attempt(target);
}

void ResumableStream::on_attempt_failed() noexcept {
  if (given_.empty()) forget_what_is_kept();
  consumer_->on_attempt_failed();
}

void ResumableStream::forget_what_is_kept() noexcept {
  if (!consumer_->holding()) return;
  text_.clear();
  tool_call_begun_ = false;
  degradation_.reset();
}

void ResumableStream::begin_anew(const StreamEvent& restarted) noexcept {
  tool_call_begun_ = false;
  text_.clear();
  degradation_.reset();
  consumer_->on_event(restarted);
  rest_.clear();
  dropped_ = 0;
  comparing_ = !given_.empty();
  if (given_.empty()) return;
  // The consumer has been told to forget that too.
  StreamEvent event;
  event.delta = given_;
  deliver(event, true);
}

void ResumableStream::on_event(const StreamEvent& event) noexcept {
  if (event.type == StreamEvent::Type::restarted) return begin_anew(event);
  if (event.degradation != nullptr) return note_degradation(event);
  if (!comparing_) return deliver(event, false);
  bool kept = event.type == StreamEvent::Type::text;
  try {
    if (kept) rest_ += event.delta;
  } catch (...) {  // no memory to compare it in
    kept = false;
  }
  if (kept) return compare(false);
  if (event.type != StreamEvent::Type::reasoning) compare(true);
  deliver(event, true);
}

void ResumableStream::note_degradation(const StreamEvent& event) noexcept {
  try {
    degradation_ = degradation_ ? merged(*degradation_, *event.degradation) : *event.degradation;
  } catch (...) {  // no memory: the answer would not say it
    context_->lose_event();
  }
  consumer_->on_event(event);
}

void ResumableStream::compare(bool complete) noexcept {
  const std::optional<std::size_t> repeated = repeated_of(given_, rest_, complete);
  if (!repeated) return;
  comparing_ = false;
  dropped_ = *repeated;
  if (dropped_ == rest_.size()) return;
  StreamEvent event;
  event.delta = std::string_view{rest_}.substr(dropped_);
  deliver(event, true);
}

void ResumableStream::deliver(const StreamEvent& event, bool kept_back) noexcept {
  try {
    if (event.type == StreamEvent::Type::text) text_ += event.delta;
  } catch (...) {  // what is not known to the end cannot be gone on from
    text_incomplete_ = true;
  }
  if (event.type == StreamEvent::Type::tool_call_delta || event.type == StreamEvent::Type::tool_call) {
    tool_call_begun_ = true;
  }
  if (kept_back && !consumer_->holding()) context_->note_delivered(event);
  consumer_->on_event(event);
}

}  // namespace backstop::inline v0::detail
