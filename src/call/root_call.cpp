#include "call/root_call.hpp"

#include <cstddef>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "backstop/observe/observer.hpp"
#include "chat/interrupted.hpp"
#include "runtime/exception_error.hpp"

namespace backstop::inline v0::detail {
namespace {

/// Takes what providers said out of a result for the time of its life: observers do not get it.
class WordsAside {
 public:
  explicit WordsAside(Result<ChatResponse>& result) noexcept : result_{&result} {
    if (!result) error_.swap(result.error().provider_message);
    for (Attempt& row : rows()) {
      if (row.provider_message.empty()) continue;
      try {
        rows_.emplace_back(&row, std::move(row.provider_message));
      } catch (const std::bad_alloc&) {  // then the application does not get them either
      }
      row.provider_message.clear();
    }
  }
  ~WordsAside() {
    if (!*result_) error_.swap(result_->error().provider_message);
    for (auto& [row, words] : rows_) row->provider_message = std::move(words);
  }
  WordsAside(const WordsAside&) = delete;
  WordsAside& operator=(const WordsAside&) = delete;

 private:
  [[nodiscard]] Ledger& rows() noexcept { return *result_ ? (*result_)->attempts : result_->error().attempts; }

  Result<ChatResponse>* result_;
  std::string error_;
  std::vector<std::pair<Attempt*, std::string>> rows_;
};

}  // namespace

RootCall::RootCall(Runtime& runtime, const CallLimits& limits, const std::vector<std::shared_ptr<Observer>>* observers,
                   bool quote_providers)
    : state_{runtime}, context_{state_, branch_, stop_, TimePoint::max()}, limits_{limits} {
  state_.attempts_left = limits.max_attempts;
  state_.recovery_wait = limits.recovery_wait;
  state_.quote_providers = quote_providers;
  if (observers != nullptr && !observers->empty()) state_.observers = observers;
}

RootCall::~RootCall() = default;

void RootCall::start(const ChatProvider& provider, const ChatRequest& request, StreamSink* sink,
                     std::function<void()> on_end) noexcept {
  on_end_ = std::move(on_end);
  Runtime& runtime = context_.runtime();
  const Runtime::Step step{runtime, id()};
  if (state_.root == nullptr) state_.root = &provider;
  state_.started = runtime.now();
  if (sink != nullptr) context_.set_sink(&consumer_.emplace(*sink, state_));
  context_.set_deadline(saturating_add(state_.started, limits_.deadline));
  if (state_.observers != nullptr) {
    for (const auto& observer : *state_.observers) observer->on_begin();
  }
  try {
    if (limits_.deadline <= Duration::zero()) {
      stop_.request_stop(StopReason::deadline);
    } else if (context_.deadline() != TimePoint::max() && !stop_.stop_requested()) {
      runtime.timers().arm(*this, context_.deadline());
    }
    task_ = provider.call(request, context_);
  } catch (...) {  // no memory for it
    end([]() -> Result<ChatResponse> { throw; });
    return;
  }
  task_.start(*this);
}

void RootCall::on_task_done() noexcept {
  end([this] { return task_.take_result(); });
}

template <class TakeResult>
void RootCall::end(const TakeResult& take_result) noexcept {
  disarm();
  try {
    result_.emplace(take_result());
  } catch (...) {
    fail(error_from_exception("the call"));
  }
  if (state_.lost_event && *result_) fail(out_of_memory());
  close(*result_);
  on_end_();
}

void RootCall::fail(Error error) noexcept {
  if (error.kind == ErrorKind::local_limit && consumer_ && consumer_->has_content()) interrupt_stream(error);
  result_.emplace(std::move(error));
}

void RootCall::Consumer::on_event(const StreamEvent& event) noexcept {
  const bool is_end = event.type == StreamEvent::Type::finished || event.type == StreamEvent::Type::failed;
  if (call_->lost_event && !is_end) return;
  const std::size_t text_before = text_.size();
  const bool content_before = content_;
  content_ = content_ || event.is_content();
  if (event.type == StreamEvent::Type::restarted) text_.clear();
  if (event.type == StreamEvent::Type::text && complete_) {
    try {
      text_ += event.delta;
    } catch (...) {  // no memory: the error will have the beginning
      complete_ = false;
    }
  }
  next().on_event(event);
  if (!call_->lost_event || is_end) return;
  content_ = content_before;
  if (text_.size() > text_before) text_.resize(text_before);
}

void RootCall::Consumer::stamp(Error& error) noexcept {
  error.committed = content_;
  error.partial_text = std::move(text_);
}

void RootCall::close(Result<ChatResponse>& result) noexcept {
  Money cost;
  bool cost_known = true;
  for (const Attempt& attempt : state_.ledger) {
    cost += attempt.cost;
    cost_known = cost_known && attempt.cost_known;
  }
  const Duration elapsed = context_.now() - state_.started;
  const auto complete = [&](auto& outcome) {
    outcome.cost = cost;
    outcome.cost_known = cost_known;
    outcome.elapsed = elapsed;
    outcome.attempts = std::move(state_.ledger);
    if (state_.quote_providers) return;
    for (Attempt& attempt : outcome.attempts) attempt.provider_message.clear();
  };
  StreamEvent end;
  if (result) {
    complete(*result);
    end.type = StreamEvent::Type::finished;
    end.response = &*result;
  } else {
    complete(result.error());
    result.error().rejected.reset();
    if (consumer_) {
      consumer_->stamp(result.error());
    } else {
      result.error().committed = false;
      result.error().partial_text.clear();
    }
    if (!state_.quote_providers) result.error().provider_message.clear();
    end.type = StreamEvent::Type::failed;
    end.error = &result.error();
  }
  if (state_.observers != nullptr) {
    const WordsAside aside{result};
    CallEvent event{end.response, end.error, result ? result->attempts : result.error().attempts, elapsed, cost,
                    cost_known, {}};
    if (state_.first_choice != nullptr) event.first_choice = *state_.first_choice;
    for (const auto& observer : *state_.observers) observer->on_call(event);
  }
  // Last: from now on the consumer's thread may read the result.
  if (StreamSink* sink = context_.sink()) sink->on_event(end);
}

}  // namespace backstop::inline v0::detail
