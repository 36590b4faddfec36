#include "call/running_call.hpp"

#include <string>
#include <utility>

#include "process/never_destroyed.hpp"
#include "process/process_number.hpp"

namespace backstop::inline v0::detail {

RunningCall::RunningCall(CallSetup setup, ChatRequest request)
    : setup_{std::move(setup)},
      request_{std::move(request)},
      root_{*setup_.runtime, setup_.limits, setup_.observers.get(), setup_.quote_providers},
      process_{process_number()} {
  if (setup_.client != nullptr) root_.set_client(*setup_.client);
}

// The parent's other threads are not there: what was under a lock stays under it.
bool RunningCall::is_of_parent() const noexcept { return process_ != process_number(); }

const Result<ChatResponse>& RunningCall::result() const {
  if (!is_of_parent() || done_) return root_.result();
  static NeverDestroyed<const Result<ChatResponse>> runs_elsewhere{
      Error{ErrorKind::cancelled, "the call belongs to the process that this one was forked from"}};
  return *runs_elsewhere;
}

Result<ChatResponse> RunningCall::take_result() {
  if (is_of_parent()) return result();
  return std::move(root_.result());
}

bool RunningCall::done() const noexcept {
  if (is_of_parent()) return true;
  const std::lock_guard lock{mutex_};
  return done_;
}

bool RunningCall::settled() const noexcept {
  if (is_of_parent()) return true;
  const std::lock_guard lock{mutex_};
  return told_ || (done_ && runtime().driven_by_this_thread());
}

void RunningCall::StopRequested::operator()() const noexcept {
  if (const std::shared_ptr<RunningCall> running = call.lock()) running->cancel();
}

void RunningCall::launch(StreamSink* sink, SinkOf whose) {
  sink_ = sink;
  if (setup_.on_event || (sink != nullptr && whose == SinkOf::application)) {
    sink_ = &consumer_.emplace(*this, sink, std::move(setup_.on_event));
    if (setup_.progress) setup_.progress->forward_to(&*consumer_);
  }
  if (setup_.stop.stop_possible()) stop_requested_.emplace(setup_.stop, StopRequested{weak_from_this()});
  runtime().post(*this, shared_from_this());
}

void RunningCall::run() noexcept {
  if (std::exchange(begun_, true)) return end();
  self_ = shared_from_this();
  root_.start(setup_.provider.get(), request_, sink_, [this] {
    // Told from inside the call's last step: what comes now may destroy the call, so it waits until that is over.
    runtime().post(*this, shared_from_this());
  });
}

void RunningCall::leave_to_background() {
  if (in_background_) return;
  runtime().ensure_background_driver();
  in_background_ = true;
  runtime().add_unattended(1);
}

void RunningCall::let_go() noexcept {
  stop_requested_.reset();
  if (setup_.progress) setup_.progress->forward_to(nullptr);
  // Whoever keeps the handle of a call that has ended keeps none of the client's policies.
  const Provider provider = std::move(setup_.provider);
  setup_.client = nullptr;
  setup_.progress.reset();
  setup_.observers.reset();
  setup_.stop = {};
  request_ = ChatRequest{};
}

void RunningCall::end() noexcept {
  self_.reset();  // whoever calls this keeps it until the gate has been opened
  let_go();
  {
    const std::lock_guard lock{mutex_};
    done_ = true;
  }
  on_end();
  {
    const std::lock_guard lock{mutex_};
    told_ = true;
  }
  if (in_background_) runtime().add_unattended(-1);
  runtime().open(gate_);
}

void RunningCall::cancel() {
  if (done()) return;  // nobody may drive any more, and what is posted is kept until then
  if (runtime().driven_by_this_thread()) {
    // From inside the call, too: nothing is sent any more.
    if (!root_.ended()) root_.stop(StopReason::cancelled);
    return;
  }
  if (!cancelled_.exchange(true)) runtime().post(cancel_, shared_from_this());
}

const Result<ChatResponse>& RunningCall::wait() {
  if (is_of_parent()) return result();
  while (!settled()) {
    if (runtime().driven_by_this_thread() && root_.is_running()) {
      static NeverDestroyed<const Result<ChatResponse>> waits_for_itself{
          Error{ErrorKind::invalid_request, "a call cannot wait for itself: this is one of its own callbacks"}};
      return *waits_for_itself;
    }
    runtime().block_until(gate_);
  }
  if (abandoned_) {
    static NeverDestroyed<const Result<ChatResponse>> has_no_handle{
        Error{ErrorKind::cancelled, "the handle of the call was destroyed while it was waited for"}};
    return *has_no_handle;
  }
  return root_.result();
}

void RunningCall::abandon() noexcept {
  abandoned_ = true;
  if (settled()) return;
  cancel();
  if (!runtime().driven_by_this_thread() || !root_.is_running()) {
    static_cast<void>(wait());
    return;
  }
  // From inside itself the end would never come.
  detach();
  try {
    leave_to_background();
  } catch (...) {  // no thread for it: it goes on when somebody drives
  }
}

}  // namespace backstop::inline v0::detail
