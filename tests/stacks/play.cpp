#include "stacks/play.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>

namespace stacks {

using namespace backstop;
using std::chrono::milliseconds;
using Type = StreamEvent::Type;

void note(Seen& seen, Type type, std::string_view delta) {
  seen.events_after_end += seen.endings > 0 ? 1 : 0;
  if (type == Type::restarted) {
    seen.text.clear();
    seen.degraded = false;
  }
  if (type == Type::degraded) seen.degraded = true;
  if (type == Type::text) seen.text += delta;
  if (type == Type::finished || type == Type::failed) ++seen.endings;
}

Play::Play(const Case& played) : case_{&played}, runtime_{played.seed + 1}, stack_{played, runtime_.share()} {
  for (std::size_t i = 0; i < played.requests.size(); ++i) {
    requests_.push_back(stacks::request_of(played.requests[i], static_cast<int>(i)));
  }
}

template <class Action>
void Play::guarded(Action action) noexcept {
  try {
    action();
  } catch (const std::exception& exception) {
    if (thrown_.empty()) thrown_ = exception.what();
  } catch (...) {
    if (thrown_.empty()) thrown_ = "an exception of an unknown type";
  }
}

CallOptions Play::options_of(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  CallOptions options;
  if (consumer.deadline > 0) options.limits.deadline = milliseconds{consumer.deadline};
  if (consumer.max_attempts > 0) options.limits.max_attempts = consumer.max_attempts;
  options.targets = stack_.names(consumer.targets);
  options.around = stack_.around(consumer);
  if (options.around || !options.targets.empty()) options.observer = seen_[index].log = std::make_shared<CallLog>();
  return options;
}

const ChatRequest& Play::request_of(const ConsumerSpec& consumer) const {
  return requests_[static_cast<std::size_t>(consumer.request) % requests_.size()];
}

void Play::run_until(Millis moment) {
  const Duration now = runtime_.elapsed();
  if (milliseconds{moment} > now) runtime_.run_for(milliseconds{moment} - now);
}

void Play::run() {
  guarded([&] { plan_ = stack_.client->explain(request_of(case_->consumers.front())); });
  for (std::size_t index = 0; index < case_->consumers.size(); ++index) guarded([&] { begin(index); });
  guarded([&] { leave_from_main(); });
  guarded([&] { end_all(); });
  slots_.clear();
  guarded([&] { runtime_.run_for(std::chrono::hours{2}); });
}

void Play::begin(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  seen_.emplace_back();
  slots_.emplace_back();
  run_until(consumer.at);
  seen_[index].deadline =
      consumer.deadline > 0 ? milliseconds{consumer.deadline} : stack_.client->options().limits.deadline;
  ++calls_made_;
  switch (consumer.face) {
    case Face::chat: return chat(index);
    case Face::stream: return stream(index);
    case Face::start:
    case Face::start_sink: return start(index);
    case Face::chat_async: return chat_async(index);
  }
}

void Play::chat(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  seen_[index].result.emplace(stack_.client->chat(request_of(consumer), options_of(index)));
}

void Play::stream(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  Seen& seen = seen_[index];
  seen.streaming = true;
  ChatStream stream = stack_.client->stream(request_of(consumer), options_of(index));
  for (int taken = 0; consumer.leave_after < 0 || taken < consumer.leave_after; ++taken) {
    const StreamEvent* event = stream.next();
    if (event == nullptr) {
      seen.whole = true;
      seen.result.emplace(stream.result());
      return;
    }
    note(seen, event->type, event->delta);
    if (consumer.read_gap > 0) runtime_.run_for(milliseconds{consumer.read_gap});
  }
}

void Play::start(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  Seen& seen = seen_[index];
  Slot& slot = slots_[index];
  CallOptions options = options_of(index);
  if (consumer.face == Face::start_sink) {
    seen.streaming = true;
    slot.sink = std::make_unique<testing::EventLog>(runtime_.runtime());
    slot.sink->on_each([this, index](const testing::RecordedEvent& event) { on_event(index, event); });
    if (takes_events(*case_, consumer)) {
      options.on_event = [this, index, sink = slot.sink.get()](const StreamEvent& event) {
        event.progress != nullptr ? on_progress(index, *event.progress) : sink->on_event(event);
      };
    } else {
      options.sink = &*slot.sink;
    }
  }
  if (stops_by_token(*case_)) options.stop = slot.stop.get_token();
  slot.call.emplace(stack_.client->start(request_of(consumer), options));
  if (consumer.on_done != OnDone::none) {
    seen.asked_on_done = true;
    slot.call->on_done([this, index](const Result<ChatResponse>& result) { on_done(index, result); });
  }
  if (consumer.cancel_at >= 0) {
    runtime_.at(milliseconds{consumer.cancel_at}, [this, index] {
      if (slots_.size() <= index || !slots_[index].call) return;
      if (stops_by_token(*case_)) {
        slots_[index].stop.request_stop();
      } else {
        slots_[index].call->cancel();
      }
    });
  }
  if (consumer.destroy_at >= 0 && consumer.destroy_in_callback) {
    runtime_.at(milliseconds{consumer.destroy_at}, [this, index] {
      blocked_inside_ = true;
      if (slots_.size() > index) guarded([&] { slots_[index].call.reset(); });
    });
  }
}

void Play::chat_async(std::size_t index) {
  const ConsumerSpec& consumer = case_->consumers[index];
  const CallOptions options = options_of(index);
  slots_[index].coroutine.emplace(ask(*stack_.client, request_of(consumer), options, slots_[index].answer));
}

void Play::on_done(std::size_t index, const Result<ChatResponse>& result) {
  const ConsumerSpec& consumer = case_->consumers[index];
  Seen& seen = seen_[index];
  ++seen.on_done;
  if (!seen.result) seen.result.emplace(result);
  switch (consumer.on_done) {
    case OnDone::throws: throw std::runtime_error{"on_done threw"};
    case OnDone::starts: return call_inside(consumer, false);
    case OnDone::chats: return call_inside(consumer, true);
    case OnDone::destroys: return slots_[index].call.reset();
    default: return;
  }
}

void Play::on_event(std::size_t index, const testing::RecordedEvent& event) noexcept {
  check_nesting(index);
  note(seen_[index], event.type, event.delta);
  if (acts_in_progress(*case_, case_->consumers[index]) < 0) act(index);
}

void Play::on_progress(std::size_t index, const ProgressEvent& event) noexcept {
  check_nesting(index);
  seen_[index].events_after_end += seen_[index].endings > 0 ? 1 : 0;
  const int nth = slots_[index].progress_seen++;
  if (nth != acts_in_progress(*case_, case_->consumers[index])) return;
  guarded([&] {
    const std::string before = event.attempt != nullptr ? event.attempt->target.name() + event.attempt->reason : "";
    act(index);
    const std::string after = event.attempt != nullptr ? event.attempt->target.name() + event.attempt->reason : "";
    if (after != before) throw std::logic_error{"an event has changed while it was told: " + before + ", " + after};
  });
}

// What comes while a call tells of an event comes when that has returned.
void Play::check_nesting(std::size_t index) noexcept {
  guarded([&] {
    if (slots_[index].acting) throw std::logic_error{"an event within an event of the same call"};
  });
}

void Play::act(std::size_t index) noexcept {
  Slot& slot = slots_[index];
  if (std::exchange(slot.acted, true)) return;
  slot.acting = true;
  act_once(index);
  slot.acting = false;
}

void Play::act_once(std::size_t index) noexcept {
  const ConsumerSpec& consumer = case_->consumers[index];
  Slot& slot = slots_[index];
  switch (consumer.sink) {
    case SinkDoes::takes: return;
    case SinkDoes::starts: return call_inside(consumer, false);
    case SinkDoes::chats: return call_inside(consumer, true);
    case SinkDoes::cancels:
      if (slot.call) slot.call->cancel();
      return;
    case SinkDoes::pauses:
      slot.sink->pause();
      runtime_.at(runtime_.elapsed() + std::chrono::seconds{3}, [this, index] {
        if (slots_.size() > index && slots_[index].sink) slots_[index].sink->resume();
      });
      return;
  }
}

// A call of the same client from within a callback of another.
void Play::call_inside(const ConsumerSpec& consumer, bool waits) noexcept {
  const CallOptions options{.limits = {.deadline = std::chrono::seconds{5}, .max_attempts = 2}};
  guarded([&] {
    ++calls_made_;
    if (waits) {
      blocked_inside_ = true;
      static_cast<void>(stack_.client->chat(request_of(consumer), options));
    } else {
      inner_calls_.push_back(stack_.client->start(request_of(consumer), options));
    }
  });
}

void Play::leave_from_main() {
  std::vector<std::pair<Millis, std::size_t>> leaving;
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    const ConsumerSpec& consumer = case_->consumers[index];
    if (consumer.destroy_at >= 0 && !consumer.destroy_in_callback) leaving.emplace_back(consumer.destroy_at, index);
  }
  std::sort(leaving.begin(), leaving.end());
  for (const auto& [moment, index] : leaving) {
    run_until(moment);
    slots_[index].call.reset();
    slots_[index].coroutine.reset();
  }
}

void Play::end_all() {
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    // Nobody may wait on a handle that a callback destroys.
    const ConsumerSpec& consumer = case_->consumers[index];
    const bool destroyed_inside = consumer.on_done == OnDone::destroys || consumer.destroy_in_callback;
    for (int hours = 0; hours < 3 && destroyed_inside && slot.call; ++hours) runtime_.run_for(std::chrono::hours{1});
    if (slot.call) {
      const Result<ChatResponse>& result = slot.call->wait();
      if (!seen_[index].result) seen_[index].result.emplace(result);
    }
    if (slot.coroutine) {
      for (int hours = 0; hours < 3 && !slot.coroutine->done(); ++hours) runtime_.run_for(std::chrono::hours{1});
      if (slot.answer) seen_[index].result = std::move(slot.answer);
    }
    if (seen_[index].streaming && slot.sink) seen_[index].whole = true;
  }
  while (!inner_calls_.empty()) {
    static_cast<void>(inner_calls_.front().wait());
    inner_calls_.pop_front();
  }
}

}  // namespace stacks
