#pragma once

#include <cstddef>
#include <iterator>
#include <memory>

#include "backstop/chat/result.hpp"
#include "backstop/chat/stream_event.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0 {

namespace detail {
struct StreamState;
}

/// A streamed answer as a range that blocks: `for (const StreamEvent& event : client.stream(request))`.
///
/// The loop's thread drives the call while it waits for the next event. While the consumer is behind, reading from the
/// network pauses, so that memory stays bounded. The last event is `finished` or `failed`, exactly one of them.
/// Destroying the stream before its end cancels the call and waits for that; from inside the call itself (its
/// `on_event`, a policy's function) it does not wait, and the call ends soon after. There `next` gives null.
/// A callback that runs while `next` or `result` waits may destroy the stream: `next` then gives null, and `result` an
/// error of kind `cancelled`.
/// Thread safety: one thread at a time; `cancel` from any thread.
class BACKSTOP_EXPORT ChatStream {
 public:
  ChatStream(ChatStream&&) noexcept = default;
  ChatStream& operator=(ChatStream&& other) noexcept;
  ~ChatStream();

  /// The next event, valid until the next call; null after the last one.
  [[nodiscard]] const StreamEvent* next();
  /// The same, and null when none has come for that long: between two looks at something else. The call goes on.
  /// Example: `while (!stream.ended()) if (const auto* event = stream.next_for(100ms)) ...`
  [[nodiscard]] const StreamEvent* next_for(Duration most);
  /// The last event was given: `next` has no more.
  [[nodiscard]] bool ended() const noexcept;
  /// The whole answer; takes and drops the events that are still to come.
  [[nodiscard]] const Result<ChatResponse>& result();
  void cancel();

  class iterator {
   public:
    using value_type = StreamEvent;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using reference = const StreamEvent&;
    using pointer = const StreamEvent*;

    iterator() noexcept = default;
    explicit iterator(ChatStream& stream) : stream_{&stream}, event_{stream.next()} {}
    [[nodiscard]] reference operator*() const noexcept { return *event_; }
    [[nodiscard]] pointer operator->() const noexcept { return event_; }
    iterator& operator++() {
      event_ = stream_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& position, std::default_sentinel_t) noexcept {
      return position.event_ == nullptr;
    }

   private:
    ChatStream* stream_ = nullptr;
    const StreamEvent* event_ = nullptr;
  };
  [[nodiscard]] iterator begin() { return iterator{*this}; }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend class FallbackClient;
  explicit ChatStream(std::shared_ptr<detail::StreamState> state) noexcept;

  std::shared_ptr<detail::StreamState> state_;
};

}  // namespace backstop::inline v0
