#include "backstop/app/batch.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/batch_log.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/cost_cap.hpp"

namespace backstop::inline v0 {
namespace {

/// Which calls have ended: noted by whatever thread drives them, taken by the one that made them.
class EndedCalls {
 public:
  explicit EndedCalls(std::shared_ptr<Runtime> runtime) : runtime_{std::move(runtime)} {}

  void add(std::size_t index) {
    {
      const std::lock_guard lock{mutex_};
      ended_.push_back(index);
    }
    if (runtime_->driven_by_this_thread()) runtime_->open(gate_);
  }
  /// Waits until there is one.
  [[nodiscard]] std::vector<std::size_t> take() {
    for (;;) {
      {
        const std::lock_guard lock{mutex_};
        if (!ended_.empty()) return std::exchange(ended_, {});
      }
      runtime_->block_until(gate_);
    }
  }
  /// After the last call: nothing is about to open the gate any more.
  void settle() {
    Runtime::Gate last;
    runtime_->block_until(last, [&] { runtime_->open(last); });
  }

 private:
  std::shared_ptr<Runtime> runtime_;
  Runtime::Gate gate_;
  std::mutex mutex_;
  std::vector<std::size_t> ended_;
};

class BatchRun {
 public:
  BatchRun(const FallbackClient& client, BatchSource source, const BatchOptions& options,
           const std::function<void(const BatchResult&)>& on_result)
      : client_{&client},
        source_{std::move(source)},
        options_{&options},
        on_result_{&on_result},
        call_{options.call},
        ended_{std::make_shared<EndedCalls>(client.options().runtime)},
        started_{now()} {}
  ~BatchRun() {
    cancel_rest();
    ended_->settle();
  }
  BatchRun(const BatchRun&) = delete;
  BatchRun& operator=(const BatchRun&) = delete;

  [[nodiscard]] Result<BatchProgress> run() {
    if (auto problem = prepare()) return *std::move(problem);
    for (;;) {
      if (auto problem = begin_calls()) return *std::move(problem);
      if (calls_.empty()) break;
      for (const std::size_t index : ended_->take()) {
        if (auto problem = end_call(index)) return *std::move(problem);
      }
    }
    progress_.complete = exhausted_;
    return progress();
  }

 private:
  struct Running {
    std::string id;
    std::string hash;  // of the request, where there is a log
    PendingCall call;
  };

  [[nodiscard]] TimePoint now() const noexcept { return client_->options().runtime->clock().now(); }
  [[nodiscard]] bool stopped() const noexcept { return options_->call.stop.stop_requested(); }

  [[nodiscard]] std::optional<Error> prepare() {
    if (!options_->log.empty()) {
      auto log = detail::BatchLog::open(options_->log);
      if (!log) return std::move(log).error();
      log_.emplace(*std::move(log));
      progress_.spent = log_->spent();
      progress_.cost_known = log_->cost_known();
    }
    if (options_->budget) {
      const Money left = std::max(*options_->budget - progress_.spent, Money{});
      CostCapOptions cap;
      cap.budgets = {Budget{{.per_period = left, .period = longest}}};
      cap.wait_for_reserved = longest;
      call_.around = call_.around ? *call_.around | cost_cap(cap) : cost_cap(cap);
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Error> begin_calls() {
    while (!exhausted_ && !stopped() && calls_.size() < static_cast<std::size_t>(options_->concurrency)) {
      std::optional<BatchRequest> next = source_.next();
      exhausted_ = !next.has_value();
      if (exhausted_) break;
      const std::size_t index = count_++;
      if (next->id.empty()) next->id = std::to_string(index + 1);
      std::string hash;
      if (log_) {
        const std::string key = detail::BatchLog::key_of(next->id);
        if (!ids_.insert(key).second) {
          return Error{ErrorKind::invalid_request, fmt::format("two requests of the batch have the id {}", key)};
        }
        hash = detail::BatchLog::hash_of(next->request);
        if (log_->has_answer(key)) {
          if (log_->may_answer(key, hash)) {
            ++progress_.done;
            ++progress_.from_log;
          } else {
            tell({index, std::move(next->id), answered_otherwise(key)});
          }
          continue;
        }
      }
      PendingCall call = client_->start(std::move(next->request), call_);
      call.on_done([ended = ended_, index](const Result<ChatResponse>&) { ended->add(index); });
      calls_.emplace(index, Running{std::move(next->id), std::move(hash), std::move(call)});
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Error> end_call(std::size_t index) {
    auto running = calls_.extract(index);
    const BatchResult result{index, std::move(running.mapped().id), std::move(running.mapped().call).wait()};
    if (log_) {
      if (auto problem = log_->add(result, running.mapped().hash)) return problem;
    }
    tell(result);
    return std::nullopt;
  }

  void tell(const BatchResult& result) {
    ++(result.reply ? progress_.done : progress_.failed);
    progress_.spent += result.reply ? result.reply->cost : result.reply.error().cost;
    const bool known = result.reply ? result.reply->cost_known : result.reply.error().cost_known;
    progress_.cost_known = progress_.cost_known && known;
    if (*on_result_) (*on_result_)(result);
    if (options_->on_progress) options_->on_progress(progress());
  }

  [[nodiscard]] Error answered_otherwise(const std::string& key) const {
    return {ErrorKind::invalid_request,
            fmt::format("the id {} stands in the log {} with the answer to another request; give the request an id of "
                        "its own, or the batch another log", key, options_->log)};
  }

  /// What a failure of the batch has left: what it cost stands in the log all the same.
  void cancel_rest() noexcept {
    for (auto& [index, running] : calls_) running.call.cancel();
    for (auto& [index, running] : calls_) {
      try {
        const BatchResult result{index, std::move(running.id), std::move(running.call).wait()};
        if (log_) static_cast<void>(log_->add(result, running.hash));
      } catch (const std::exception&) {  // no memory: nobody is left to be told
      }
    }
    calls_.clear();
  }

  [[nodiscard]] BatchProgress progress() const {
    BatchProgress now_is = progress_;
    now_is.running = calls_.size();
    if (source_.size) now_is.left = *source_.size - std::min(*source_.size, count_);
    now_is.elapsed = now() - started_;
    return now_is;
  }

  static constexpr Duration longest = Duration::max();

  const FallbackClient* client_;
  BatchSource source_;
  const BatchOptions* options_;
  const std::function<void(const BatchResult&)>* on_result_;
  CallOptions call_;
  std::shared_ptr<EndedCalls> ended_;
  std::optional<detail::BatchLog> log_;
  std::unordered_set<std::string> ids_;
  std::map<std::size_t, Running> calls_;
  BatchProgress progress_;
  TimePoint started_;
  std::size_t count_ = 0;
  bool exhausted_ = false;
};

}  // namespace

std::string to_string(const BatchProgress& progress) {
  std::string text = fmt::format("{} done, {} failed, {} running, ", progress.done, progress.failed, progress.running);
  if (progress.left) text += fmt::format("{} left, ", *progress.left);
  return text + cost_text(progress.spent, progress.cost_known);
}

Result<BatchProgress> batch(const FallbackClient& client, BatchSource source, const BatchOptions& options,
                            const std::function<void(const BatchResult&)>& on_result) {
  if (options.concurrency < 1) throw std::invalid_argument{"BatchOptions::concurrency must be at least 1"};
  if (options.budget && *options.budget < Money{}) {
    throw std::invalid_argument{"BatchOptions::budget must not be below $0"};
  }
  if (!source.next) throw std::invalid_argument{"BatchSource::next must be a function"};
  return BatchRun{client, std::move(source), options, on_result}.run();
}

}  // namespace backstop::inline v0
