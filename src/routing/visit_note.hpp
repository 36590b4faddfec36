#pragma once

#include <optional>
#include <utility>

#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/call_context.hpp"
#include "routing/candidate.hpp"

namespace backstop::inline v0::detail {

/// One call to a candidate that is more than one target, for its statistics; those of a single target are fed where its
/// sends close.
class VisitNote final : private AttemptObserver {
 public:
  /// `inner` is what the candidate is called with.
  VisitNote(const Candidate& candidate, CallContext& inner) noexcept
      : statistics_{inner.state().active_probe ? nullptr : candidate.own_statistics.get()}, started_{inner.now()} {
    if (statistics_ == nullptr) return;
    statistics_->begin();
    inner.add_observer(*this);
  }
  ~VisitNote() {
    if (statistics_ != nullptr) statistics_->abandon();
  }
  VisitNote(const VisitNote&) = delete;
  VisitNote& operator=(const VisitNote&) = delete;

  void end(const Result<ChatResponse>& result, TimePoint now) noexcept {
    // What was refused without a send, or answered from a cache, says nothing.
    if (statistics_ == nullptr || !sent_) return;
    const Error* error = result ? nullptr : &result.error();
    std::exchange(statistics_, nullptr)->end({now, now - started_, ttft_, error, result ? result->usage : Usage{}});
  }

 private:
  [[nodiscard]] std::optional<Error> on_begin(Send& send) override {
    sent_ = sent_ || !send.aside;
    return std::nullopt;
  }
  void on_first_content(TimePoint at) noexcept override {
    if (!ttft_) ttft_ = at - started_;
  }

  TargetStatistics* statistics_;
  TimePoint started_;
  std::optional<Duration> ttft_;
  bool sent_ = false;
};

}  // namespace backstop::inline v0::detail
