#include "backstop/runtime/call_context.hpp"

#include <new>
#include <string_view>

#include "backstop/observe/observer.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0 {
namespace {

struct Limit {
  TimeoutLimit limit;
  ErrorKind kind;
  std::string_view what;
};

// By StopReason.
constexpr Limit limit_of(StopReason reason) noexcept {
  switch (reason) {
    case StopReason::connect: return {TimeoutLimit::connect, ErrorKind::connect_failed, "no connection within the limit"};
    case StopReason::first_byte:
      return {TimeoutLimit::first_byte, ErrorKind::timeout, "no byte of an answer within the limit"};
    case StopReason::first_token:
      return {TimeoutLimit::first_token, ErrorKind::timeout, "no content of an answer within the limit"};
    case StopReason::idle: return {TimeoutLimit::idle, ErrorKind::timeout, "the answer stopped coming"};
    case StopReason::attempt: return {TimeoutLimit::attempt, ErrorKind::timeout, "the attempt took too long"};
    case StopReason::deadline_share:
      return {TimeoutLimit::deadline_share, ErrorKind::timeout,
              "the target's share of the call's deadline ended; the rest is kept for other targets"};
    case StopReason::deadline: return {TimeoutLimit::none, ErrorKind::deadline_exceeded, "the call's deadline passed"};
    case StopReason::client_deadline:
      return {TimeoutLimit::client_deadline, ErrorKind::timeout,
              "the deadline of a client within another passed"};
    case StopReason::no_memory: return {TimeoutLimit::none, ErrorKind::local_limit, "out of memory"};
    case StopReason::superseded: return {TimeoutLimit::none, ErrorKind::cancelled, "another attempt won"};
    case StopReason::none:
    case StopReason::cancelled: break;
  }
  return {TimeoutLimit::none, ErrorKind::cancelled, "the application cancelled the call"};
}

/// Observers of a shared send ask those of its callers: what is aside to the first is to all behind them.
class AsideScope {
 public:
  explicit AsideScope(Send& send) noexcept : send_{&send}, before_{send.aside} {}
  ~AsideScope() { restore(); }
  AsideScope(const AsideScope&) = delete;
  AsideScope& operator=(const AsideScope&) = delete;
  void restore() const noexcept { send_->aside = before_; }

 private:
  Send* send_;
  bool before_;
};

/// An exception is a refusal, so that those who have been asked before are told of the end.
std::optional<Error> ask(AttemptObserver& observer, Send& send) {
  try {
    return observer.on_begin(send);
  } catch (...) {
    Error error = detail::error_from_exception("an attempt observer");
    error.replay = ReplaySafety::not_sent;
    return error;
  }
}

/// The row as observers get it, in `copy`; null where there is no memory for that.
const Attempt* without_foreign_words(const Attempt& row, Attempt& copy) noexcept {
  try {
    copy = row;
    copy.provider_message.clear();
    return &copy;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

Error CallContext::stop_error() const noexcept {
  const Limit limit = limit_of(stop_->reason());
  Error error;
  error.kind = limit.kind;
  try {
    error.message = limit.what;
  } catch (const std::bad_alloc&) {
    error.message = "stopped";
  }
  error.timeout_limit = limit.limit;
  error.committed = committed();
  const bool sent = progress_ != nullptr && AttemptProgress::reached(progress_->started) &&
                    (!progress_->network || AttemptProgress::reached(progress_->connected));
  error.replay = sent ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
  return error;
}

void CallContext::deliver(const StreamEvent& event) const noexcept {
  if (event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed) return;  // the call's own
  if (event.is_content()) {
    if (progress_ == nullptr || !AttemptProgress::reached(progress_->first_content)) note_first_content();
    if (sink_ != nullptr && !sink_->holding()) note_delivered(event);
  }
  if (sink_ != nullptr) sink_->on_event(event);
}

void CallContext::note_delivered(const StreamEvent& event) const noexcept {
  if (!event.is_content()) return;
  branch_->commit(event.type == StreamEvent::Type::tool_call);
}

void CallContext::note_first_content(TimePoint at) const noexcept {
  if (progress_ != nullptr) {
    if (AttemptProgress::reached(progress_->first_content)) return;
    progress_->first_content = at;
  }
  for (AttemptObserver* observer = observers_; observer != aside_from_; observer = observer->outer_) {
    observer->on_first_content(at);
  }
}

std::optional<Error> AttemptObserver::on_begin(Send& send) {
  static_cast<void>(send);
  return std::nullopt;
}

CallState::CallState(Runtime& call_runtime) noexcept : runtime{&call_runtime} {}

Attempt& CallState::add_row(const Target& target) {
  Attempt& row = ledger.emplace_back();
  row.target = target;
  return row;
}

std::optional<Error> CallContext::begin_send(Send& send) const {
  if (observers_ == nullptr) return std::nullopt;
  const AsideScope as_before{send};
  const std::optional<std::int64_t> limit_before = send.output_limit;
  send.turn.reset();
  for (AttemptObserver* observer = observers_; observer != nullptr; observer = observer->outer_) {
    send.aside = send.aside || observer == aside_from_;
    std::optional<Error> refusal = ask(*observer, send);
    if (!refusal) continue;
    as_before.restore();
    end_send(send, nullptr, observer);
    send.unstake();
    send.output_limit = limit_before;  // what had room for no more may have another time
    refusal->target = *send.target;
    return refusal;
  }
  if (send.context == this) send.begun = true;  // else the observers of who sends it are still being asked
  return std::nullopt;
}

void CallContext::end_send(Send& send, const Attempt* row, const AttemptObserver* until) const noexcept {
  const AsideScope as_before{send};
  for (AttemptObserver* observer = observers_; observer != until; observer = observer->outer_) {
    send.aside = send.aside || observer == aside_from_;
    observer->on_end(send, row);
  }
}

Result<void> Sleep::await_resume() const {
  if (context_->stopping()) return context_->stop_error();
  return {};
}

void CallContext::note_skipped(const Target& target, const Error& error) const {
  Attempt& row = state_->add_row(target);
  row.outcome = error.kind;
  row.reason = error.message;
  row.out_for = error.retry_after;
  row.judge = hint_.judges;
  row.summary = hint_.summarizes;
  if (state_->observers == nullptr) return;
  ProgressEvent event;
  event.type = ProgressEvent::Type::skipped;
  note_progress(event, state_->ledger.size() - 1);
}

void CallContext::note_progress(ProgressEvent& event, std::size_t row) const noexcept {
  if (state_->observers == nullptr) return;
  const Ledger& ledger = state_->ledger;
  event.attempt = &ledger[row];
  event.target = ledger[row].target;
  Attempt before;
  if (row > 0 && ledger[row - 1].outcome) {
    event.before = &ledger[row - 1];
    if (!event.before->provider_message.empty()) event.before = without_foreign_words(*event.before, before);
  }
  for (const auto& observer : *state_->observers) observer->on_progress(event);
}

void CallContext::note_wait(const Target& target, TimePoint until, std::string_view reason) const noexcept {
  if (state_->observers == nullptr || until <= now()) return;
  ProgressEvent event;
  event.type = ProgressEvent::Type::waits;
  event.target = target;
  event.wait = saturating_difference(until, now());
  event.reason = reason;
  for (const auto& observer : *state_->observers) observer->on_progress(event);
}

bool Send::stake(CallState& call, Money worst) noexcept {
  if (staked_in_ != nullptr) return staked_in_ == &call;
  staked_in_ = &call;
  staked_ = worst;
  call.at_stake += worst;
  return true;
}

void Send::unstake() noexcept {
  if (staked_in_ == nullptr) return;
  staked_in_->at_stake -= staked_;
  staked_in_ = nullptr;
}

}  // namespace backstop::inline v0
