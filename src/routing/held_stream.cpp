#include "routing/held_stream.hpp"

#include <utility>

#include <fmt/format.h>

#include "chat/token_estimate.hpp"

namespace backstop::inline v0 {

std::string problem_with(const StreamHold& hold) {
  if (hold.tokens < 1) return fmt::format("StreamHold::tokens is {}; it must be at least 1", hold.tokens);
  if (hold.time <= Duration::zero()) return "StreamHold::time must be above zero (Duration::max() for no limit)";
  return {};
}

namespace detail {

HeldStream::Kept::Kept(const StreamEvent& kept_event) : event{kept_event}, delta{kept_event.delta} {
  if (event.tool_call != nullptr) {
    tool_call.emplace();
    tool_call->id = event.tool_call->id;
    tool_call->name = event.tool_call->name;
    if (event.type == StreamEvent::Type::tool_call) tool_call->arguments = event.tool_call->arguments;
  }
  if (event.degradation != nullptr) degradation = *event.degradation;
}

StreamEvent HeldStream::Kept::view() const noexcept {
  StreamEvent seen = event;
  seen.delta = delta;
  seen.tool_call = tool_call ? &*tool_call : nullptr;
  seen.degradation = degradation ? &*degradation : nullptr;
  return seen;
}

void HeldStream::on_event(const StreamEvent& event) noexcept {
  if (handing_over_) return queue(event);
  if (!keeping_) return consumer_->on_event(event);
  if (event.type == StreamEvent::Type::restarted) return forget();  // of what nobody has seen
  try {
    if (event.is_content() && !armed() && hold_.time != Duration::max()) {
      context_->runtime().timers().arm(*this, saturating_add(context_->now(), hold_.time));
    }
    kept_.emplace_back(event);
  } catch (...) {  // no memory to keep it in: everything goes on at once
    hand_over_all();
    return hand_over(event);
  }
  if (!event.is_content()) return;
  bytes_ += event.delta.size();
  if (event.type == StreamEvent::Type::tool_call) bytes_ += event.tool_call->arguments.size();
  if (estimate_tokens(bytes_) >= hold_.tokens) hand_over_all();
}

void HeldStream::on_timer() noexcept {
  // The consumer may drive the loop: the call must not go on, and end, meanwhile.
  const Runtime::Step step{context_->runtime(), &context_->state()};
  hand_over_all();
}

void HeldStream::hand_over_all() noexcept {
  if (!keeping_) return;
  keeping_ = false;
  disarm();
  // The consumer may drive the loop, and a send that other calls share goes on meanwhile: what comes joins the rest.
  handing_over_ = true;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const Kept one = std::move(kept_[i]);  // the list may grow
    hand_over(one.view());
  }
  kept_.clear();
  handing_over_ = false;
}

void HeldStream::queue(const StreamEvent& event) noexcept {
  try {
    kept_.emplace_back(event);
  } catch (...) {
    context_->lose_event();
  }
}

void HeldStream::hand_over(const StreamEvent& event) noexcept {
  if (!consumer_->holding()) context_->note_delivered(event);
  consumer_->on_event(event);
}

void HeldStream::forget() noexcept {
  if (!keeping_) return;
  disarm();
  bytes_ = 0;
  kept_.clear();
}

void HeldStream::on_attempt(const Target& target) noexcept {
  forget();
  consumer_->on_attempt(target);
}

void HeldStream::on_attempt_failed() noexcept {
  forget();
  consumer_->on_attempt_failed();
}

}  // namespace detail

}  // namespace backstop::inline v0
