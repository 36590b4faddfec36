#pragma once

#include <atomic>
#include <memory>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "call/consumer.hpp"
#include "call/root_call.hpp"

namespace backstop::inline v0::detail {

/// How a call of the application is made: what the client knows when it begins one.
struct CallSetup {
  std::shared_ptr<Runtime> runtime;
  Provider provider;
  CallLimits limits;
  std::shared_ptr<const std::vector<std::shared_ptr<Observer>>> observers;
  bool quote_providers = true;
  std::stop_token stop{};
  Consumer::Function on_event{};
  std::shared_ptr<ProgressForwarder> progress{};  ///< with `on_event`; one of the observers
  const ChatProvider* client = nullptr;  ///< where `provider` is policies around it
};

/// A call that runs apart from the code that began it, and what it keeps alive until its end, wherever its handle is.
class RunningCall : public std::enable_shared_from_this<RunningCall>, private Runtime::Posted {
 public:
  RunningCall(CallSetup setup, ChatRequest request);
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;
  virtual ~RunningCall() = default;

  [[nodiscard]] Runtime& runtime() const noexcept { return *setup_.runtime; }
  [[nodiscard]] RootCall& root() noexcept { return root_; }
  /// Only where it is done.
  [[nodiscard]] const Result<ChatResponse>& result() const;
  [[nodiscard]] Result<ChatResponse> take_result();
  /// The result is there.
  [[nodiscard]] bool done() const noexcept;
  /// From any thread.
  void cancel();
  /// Blocks until the end; the result then. From inside the call itself an error instead.
  [[nodiscard]] const Result<ChatResponse>& wait();
  /// The handle goes away: cancels, and waits for the end where that can come.
  void abandon() noexcept;
  /// The handle is gone; a wait that it happened in has nobody to give a result to.
  [[nodiscard]] bool abandoned() const noexcept { return abandoned_; }

 protected:
  /// Whose a sink is: the call's own part, or the application's, which may let go of the call.
  enum class SinkOf : bool { call, application };
  /// Begins the call in the runtime's next turn. `sink` may be null.
  void launch(StreamSink* sink, SinkOf whose);
  /// Counts as work for the background driver, until the end.
  void leave_to_background();
  /// On the driving thread, after the end.
  virtual void on_end() noexcept = 0;
  /// Nothing of the application's may be called from now on.
  virtual void detach() noexcept {
    if (consumer_) consumer_->detach();
  }
  [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }
  [[nodiscard]] bool done_locked() const noexcept { return done_; }
  /// It was begun in the parent of this process: here nothing of it runs, and nothing of it is waited for or locked.
  [[nodiscard]] bool is_of_parent() const noexcept;

  Runtime::Gate gate_;

 private:
  /// What other threads ask for.
  class Cancel final : public Runtime::Posted {
   public:
    explicit Cancel(RunningCall& call) noexcept : call_{&call} {}
    void run() noexcept override {
      if (!call_->root_.ended()) call_->root_.stop(StopReason::cancelled);
    }

   private:
    RunningCall* call_;
  };

  /// What the application's stop token calls, on whatever thread that is stopped.
  struct StopRequested {
    void operator()() const noexcept;
    std::weak_ptr<RunningCall> call;
  };

  /// Begins it, then ends it: both take a turn of their own.
  void run() noexcept override;
  void end() noexcept;
  /// Of all but the result, and of the runtime, on which a handle may be used until its end.
  void let_go() noexcept;
  /// Nothing of it runs any more; from inside its own callback: the result is there.
  [[nodiscard]] bool settled() const noexcept;

  CallSetup setup_;
  ChatRequest request_;
  RootCall root_;
  StreamSink* sink_ = nullptr;
  std::optional<Consumer> consumer_;
  std::optional<std::stop_callback<StopRequested>> stop_requested_;
  std::shared_ptr<RunningCall> self_;  // while it runs
  bool begun_ = false;
  Cancel cancel_{*this};
  std::atomic<bool> cancelled_{false};  // by another thread
  bool in_background_ = false;
  bool abandoned_ = false;
  const unsigned process_;  // that began it
  mutable std::mutex mutex_;
  bool done_ = false;  // with the lock held
  bool told_ = false;  // likewise: the application's callback has returned
};

}  // namespace backstop::inline v0::detail
