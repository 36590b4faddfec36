#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/stream_event.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/stream_sink.hpp"

namespace backstop::inline v0::testing {

/// A stream's event, copied so that it can be looked at later.
struct RecordedEvent {
  StreamEvent::Type type = StreamEvent::Type::text;
  TimePoint at{};
  std::string delta;
  std::optional<ToolCall> tool_call;
  std::optional<Degradation> degradation;
  std::optional<Error> error;
  Target target;
};

/// The consumer of a stream, for tests: keeps every event, and can pause reading.
class BACKSTOP_EXPORT EventLog final : public StreamSink {
 public:
  explicit EventLog(Runtime& runtime) noexcept : runtime_{&runtime} {}

  [[nodiscard]] const std::vector<RecordedEvent>& events() const noexcept { return events_; }
  [[nodiscard]] std::size_t count(StreamEvent::Type type) const noexcept;
  /// What a reader has on the screen: all text since the last restart.
  [[nodiscard]] std::string text() const;
  /// Called for each event, after it was recorded.
  void on_each(std::function<void(const RecordedEvent&)> listener) { listener_ = std::move(listener); }

  /// The consumer stops taking events ...
  void pause() noexcept;
  /// ... and goes on.
  void resume();

  void on_event(const StreamEvent& event) noexcept override;
  [[nodiscard]] bool ready() const noexcept override { return !paused_; }
  void when_ready(Parked* waiting) noexcept override { waiting_ = waiting; }
  [[nodiscard]] Duration consumer_time() const noexcept override;

 private:
  Runtime* runtime_;
  std::vector<RecordedEvent> events_;
  std::function<void(const RecordedEvent&)> listener_;
  Parked* waiting_ = nullptr;
  bool paused_ = false;
  TimePoint paused_at_{};
  Duration paused_before_{0};
};

}  // namespace backstop::inline v0::testing
