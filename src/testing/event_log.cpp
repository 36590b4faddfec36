#include "backstop/testing/event_log.hpp"

#include <algorithm>
#include <utility>

#include "backstop/runtime/parked.hpp"

namespace backstop::inline v0::testing {

std::size_t EventLog::count(StreamEvent::Type type) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(events_.begin(), events_.end(), [&](const RecordedEvent& event) { return event.type == type; }));
}

std::string EventLog::text() const {
  std::string text;
  for (const RecordedEvent& event : events_) {
    if (event.type == StreamEvent::Type::restarted) text.clear();
    if (event.type == StreamEvent::Type::text) text += event.delta;
  }
  return text;
}

void EventLog::pause() noexcept {
  if (std::exchange(paused_, true)) return;
  paused_at_ = runtime_->now();
}

void EventLog::resume() {
  if (!paused_) return;
  paused_before_ = consumer_time();
  paused_ = false;
  if (waiting_ != nullptr) std::exchange(waiting_, nullptr)->wake();
}

void EventLog::on_event(const StreamEvent& event) noexcept {
  RecordedEvent& copy = events_.emplace_back();
  copy.type = event.type;
  copy.at = runtime_->now();
  copy.delta = event.delta;
  copy.target = event.target;
  if (event.tool_call != nullptr) copy.tool_call = *event.tool_call;
  if (event.degradation != nullptr) copy.degradation = *event.degradation;
  if (event.error != nullptr) copy.error = *event.error;
  if (listener_) listener_(copy);
}

Duration EventLog::consumer_time() const noexcept {
  return paused_before_ + (paused_ ? runtime_->now() - paused_at_ : Duration::zero());
}

}  // namespace backstop::inline v0::testing
