#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/runtime/http_transport.hpp"
#include "backstop/testing/virtual_clock.hpp"

namespace backstop::testing_support {

/// What a server answers, and how it arrives.
struct ReplayedAnswer {
  int status = 200;
  std::vector<Header> headers;
  std::string body;
  /// Where the body is split, ascending; empty: it comes in one piece.
  std::vector<std::size_t> splits;
  Duration pause{0};       ///< before each piece but the first, and before the end
  bool cut = false;        ///< the connection breaks after the body
  std::string cut_message = "the connection was cut";
  bool stays_open = false;  ///< the end of the body never comes
};

/// A transport that answers every request with the same recording, or as a function says, a piece per turn of the loop,
/// on virtual time.
class ReplayTransport final : public HttpTransport {
 public:
  using Answering = std::function<ReplayedAnswer(const HttpRequest&)>;

  ReplayTransport(testing::VirtualClock& clock, const ReplayedAnswer& answer)
      : ReplayTransport{clock, [answer](const HttpRequest&) { return answer; }} {}
  ReplayTransport(testing::VirtualClock& clock, Answering answering)
      : clock_{&clock}, answering_{std::move(answering)} {}

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override {
    requests_.push_back(request);
    return std::make_unique<Transfer>(*this, answering_(request), receiver);
  }
  void wait(TimePoint until) override {
    if (Transfer* transfer = next_transfer()) {
      transfer->step();
    } else if (!std::exchange(woken_, false)) {
      for (const Transfer* other : transfers_) {
        if (other->waits()) until = std::min(until, other->at());
      }
      if (until == TimePoint::max()) throw std::logic_error{"the recording is over and the call still waits"};
      clock_->advance_to(until);
    }
  }
  void wake() noexcept override { woken_ = true; }

  [[nodiscard]] const std::vector<HttpRequest>& requests() const noexcept { return requests_; }
  [[nodiscard]] bool idle() const noexcept { return transfers_.empty(); }

 private:
  class Transfer final : public HttpTransfer {
   public:
    Transfer(ReplayTransport& transport, ReplayedAnswer answer, HttpReceiver& receiver)
        : transport_{&transport}, answer_{std::move(answer)}, receiver_{&receiver} {
      transport.transfers_.push_back(this);
    }
    ~Transfer() override { std::erase(transport_->transfers_, this); }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    void resume() noexcept override { paused_ = false; }
    [[nodiscard]] bool can_step() const noexcept { return waits() && at_ <= transport_->clock_->now(); }
    [[nodiscard]] bool waits() const noexcept { return !ended_ && !paused_; }
    [[nodiscard]] TimePoint at() const noexcept { return at_; }

    void step() {
      const ReplayedAnswer& answer = answer_;
      if (!head_sent_) {
        head_sent_ = true;
        receiver_->on_connected();
        receiver_->on_head(HttpResponseHead{answer.status, answer.headers});
      } else if (sent_ < answer.body.size()) {
        const auto split = std::upper_bound(answer.splits.begin(), answer.splits.end(), sent_);
        const std::size_t end = split == answer.splits.end() ? answer.body.size() : std::min(*split, answer.body.size());
        // Memory of exactly that size, so that a reader that looks beyond it is found out.
        const std::vector<char> piece(answer.body.begin() + static_cast<std::ptrdiff_t>(sent_),
                                      answer.body.begin() + static_cast<std::ptrdiff_t>(end));
        if (receiver_->on_body(std::string_view{piece.data(), piece.size()})) {
          sent_ = end;
          at_ = transport_->clock_->now() + answer.pause;
        } else {
          paused_ = true;
        }
      } else {
        ended_ = true;
        if (answer.stays_open) return;
        std::optional<Error> error;
        if (answer.cut) error = Error{ErrorKind::stream_interrupted, answer.cut_message};
        receiver_->on_end(std::move(error));
      }
    }

   private:
    ReplayTransport* transport_;
    ReplayedAnswer answer_;
    HttpReceiver* receiver_;
    std::size_t sent_ = 0;
    TimePoint at_ = TimePoint::min();
    bool head_sent_ = false;
    bool paused_ = false;
    bool ended_ = false;
  };

  [[nodiscard]] Transfer* next_transfer() const noexcept {
    const auto found =
        std::find_if(transfers_.begin(), transfers_.end(), [](const Transfer* each) { return each->can_step(); });
    return found == transfers_.end() ? nullptr : *found;
  }

  testing::VirtualClock* clock_;
  Answering answering_;
  std::vector<HttpRequest> requests_;
  std::vector<Transfer*> transfers_;
  bool woken_ = false;
};

}  // namespace backstop::testing_support
