#pragma once

#include <functional>
#include <utility>

#include "backstop/observe/observer.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::detail {

class RunningCall;

/// The application's function and sink as the call sees them: what they do belongs to the call, and they may let go of
/// the call. Either may be missing.
class Consumer final : public StreamSink {
 public:
  using Function = std::function<void(const StreamEvent&)>;

  Consumer(RunningCall& call, StreamSink* sink, Function function) noexcept
      : call_{&call}, sink_{sink}, function_{std::move(function)} {}

  /// Neither is used any more. From inside the function, too: it is not destroyed here.
  void detach() noexcept {
    sink_ = nullptr;
    detached_ = true;
  }
  void on_event(const StreamEvent& event) noexcept override;
  /// Of a send that others share, too: not within another event, and not behind the end.
  void on_progress(const ProgressEvent& event) noexcept;
  [[nodiscard]] bool ready() const noexcept override { return sink_ == nullptr || sink_->ready(); }
  void when_ready(Parked* waiting) noexcept override {
    if (sink_ != nullptr) sink_->when_ready(waiting);
  }
  [[nodiscard]] Duration consumer_time() const noexcept override {
    return sink_ != nullptr ? sink_->consumer_time() : Duration::zero();
  }
  [[nodiscard]] bool holding() const noexcept override { return sink_ != nullptr && sink_->holding(); }
  void on_attempt(const Target& target) noexcept override {
    if (sink_ != nullptr) sink_->on_attempt(target);
  }
  void on_attempt_failed() noexcept override {
    if (sink_ != nullptr) sink_->on_attempt_failed();
  }

 private:
  void tell(const StreamEvent& event) noexcept;

  RunningCall* call_;
  StreamSink* sink_;
  Function function_;
  bool detached_ = false;
  bool telling_ = false;  // the function runs
  bool ended_ = false;    // it has been told of the end
};

/// Hands what happens before the end of a call to its function, as long as the call has one. Others may keep the object
/// longer: sends that several calls share.
class ProgressForwarder final : public Observer {
 public:
  void forward_to(Consumer* consumer) noexcept { consumer_ = consumer; }
  void on_progress(const ProgressEvent& event) noexcept override {
    if (consumer_ != nullptr) consumer_->on_progress(event);
  }

 private:
  Consumer* consumer_ = nullptr;
};

}  // namespace backstop::inline v0::detail
