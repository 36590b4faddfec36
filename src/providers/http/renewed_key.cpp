#include "renewed_key.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/runtime/wakeup.hpp"
#include "process/process_number.hpp"
#include "process/thread_end.hpp"
#include "request_headers.hpp"
#include "runtime/exception_error.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr Duration longest_overlap = std::chrono::minutes{2};
constexpr Duration pause_after_failure = std::chrono::seconds{1};

[[nodiscard]] Error no_key(std::string_view why) {
  return {ErrorKind::authentication, "the application's function for keys " + std::string{why}};
}

/// What is wrong with a key that the function returned; empty when nothing is.
[[nodiscard]] std::string_view problem_with(const ExpiringKey& key, WallTime now) noexcept {
  if (key.key.empty()) return "returned an empty key";
  for (const std::string* text : {&key.key, &key.access_key_id, &key.session_token}) {
    if (!is_header_value(*text)) return "returned a key that holds line breaks or other control characters";
  }
  if (key.expires_at && *key.expires_at <= now) return "returned a key that has ended: its `expires_at` has passed";
  return {};
}

[[nodiscard]] KeptKey as_kept(ExpiringKey key, std::uint64_t number, WallTime now) {
  FetchedKey kept;
  kept.number = number;
  kept.ends_at = key.expires_at.value_or((WallTime::max)());
  kept.renew_at = kept.ends_at;
  if (key.expires_at) {
    const Duration life = *key.expires_at - now;
    kept.renew_at -= std::min<Duration>(life / 10, longest_overlap);
  }
  kept.key = std::move(key);
  return std::make_shared<const FetchedKey>(std::move(kept));
}

}  // namespace

/// What a call is told: one of the three, or to ask again.
struct RenewedKey::Asked {
  KeptKey key;
  std::optional<Error> failure;
  std::uint64_t fetch = 0;  ///< to be waited for
};

/// What calls and the thread of the function share.
struct RenewedKey::State {
  explicit State(const KeyFunction& application) : function{application} {}

  /// Under the lock. Errors: where there is no thread to be had.
  [[nodiscard]] std::optional<Error> begin(WallTime wall) {
    try {
      if (thread.joinable()) thread.join();  // it has ended, or is about to
      thread = std::thread{[this] { fetch(); }};
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    } catch (const std::system_error& none) {
      return Error{ErrorKind::local_limit, std::string{"no thread to fetch the key: "} + none.what()};
    }
    fetching = true;
    asked_wall = wall;
    failed_at.reset();
    ++fetches;
    return std::nullopt;
  }

  void fetch() noexcept {
    Result<ExpiringKey> fetched{ExpiringKey{}};
    try {
      fetched = function();
    } catch (...) {
      fetched = error_from_exception("it");
    }
    if (abandoned) {
      delete this;
    } else {
      finish(std::move(fetched));
    }
    ThreadEnd::clean_up_now();
  }

  void finish(Result<ExpiringKey> fetched) noexcept {
    std::vector<Wakeup::Waker> woken;
    {
      const std::lock_guard lock{mutex};
      try {
        note(std::move(fetched));
      } catch (...) {
        failure = out_of_memory();
      }
      fetching = false;
      woken.swap(waiting);
    }
    for (const Wakeup::Waker& waker : woken) waker.wake();
  }

  void note(Result<ExpiringKey> fetched) {
    failure.reset();
    if (!fetched) {
      const std::string& why = fetched.error().message;
      failure = no_key(why.empty() ? "failed and did not say why" : "failed: " + why);
    } else {
      fetched->key = trim(fetched->key);
      if (const std::string_view problem = problem_with(*fetched, asked_wall); !problem.empty()) {
        failure = no_key(problem);
      } else {
        kept = as_kept(*std::move(fetched), fetches, asked_wall);
      }
    }
  }

  /// False when that fetch is over; else the waker is told.
  [[nodiscard]] bool wait_for(std::uint64_t fetch, Wakeup::Waker waker) {
    const std::lock_guard lock{mutex};
    if (!fetching || fetches != fetch) return false;
    waiting.push_back(std::move(waker));
    return true;
  }

  [[nodiscard]] Asked outcome_of(std::uint64_t fetch, TimePoint now) {
    const std::lock_guard lock{mutex};
    if (kept && kept->number >= fetch) return {kept, {}, 0};
    static_cast<void>(rests(now));
    return {nullptr, failure, 0};
  }

  /// Under the lock: whether the function has failed just now. The thread that it fails on has no clock.
  [[nodiscard]] bool rests(TimePoint now) {
    if (!failure) return false;
    if (!failed_at) failed_at = now;
    return now < saturating_add(*failed_at, pause_after_failure);
  }

  const unsigned process = process_number();
  const KeyFunction function;
  std::mutex mutex;
  std::thread thread;
  bool fetching = false;
  bool abandoned = false;  // by the function itself, on its thread
  std::uint64_t fetches = 0;
  WallTime asked_wall{};
  std::optional<TimePoint> failed_at;  // when a call has first seen that it did
  KeptKey kept;
  std::optional<Error> failure;  // of the last fetch
  std::vector<Wakeup::Waker> waiting;
};

RenewedKey::RenewedKey(KeyFunction function)
    : function_{std::move(function)}, state_{std::make_unique<State>(function_).release()} {}

RenewedKey::~RenewedKey() {
  State* const state = state_.load(std::memory_order_acquire);
  if (state->process != process_number()) return;  // the parent's: its thread is not here, its lock may be taken
  if (state->thread.get_id() == std::this_thread::get_id()) {
    state->abandoned = true;
    state->thread.detach();
    return;
  }
  if (state->thread.joinable()) state->thread.join();
  delete state;
}

RenewedKey::State& RenewedKey::state() const {
  State* current = state_.load(std::memory_order_acquire);
  while (current->process != process_number()) {
    auto own = std::make_unique<State>(function_);
    if (state_.compare_exchange_strong(current, own.get(), std::memory_order_acq_rel)) return *own.release();
  }
  return *current;
}

RenewedKey::Asked RenewedKey::ask(WallTime wall, TimePoint now) {
  State& shared = state();
  const std::lock_guard lock{shared.mutex};
  const KeptKey& kept = shared.kept;
  const bool rests = !shared.fetching && shared.rests(now);
  std::optional<Error> failure = shared.failure;
  if ((!kept || wall >= kept->renew_at) && !shared.fetching && !rests) failure = shared.begin(wall);
  if (kept && wall < kept->ends_at) return {kept, {}, 0};
  if (shared.fetching) return {nullptr, {}, shared.fetches};
  return {nullptr, std::move(failure), 0};
}

Task<Result<RenewedKey::Got>> RenewedKey::get(const CallContext& context) {
  State& shared = state();
  std::optional<Wakeup> wakeup;
  for (;;) {
    Asked asked = ask(context.runtime().wall_now(), context.now());
    if (asked.key) co_return Got{std::move(asked.key), wakeup.has_value()};
    if (asked.failure) co_return std::move(*asked.failure);
    if (!wakeup) wakeup.emplace(context);
    while (shared.wait_for(asked.fetch, wakeup->waker())) {
      auto wait = wakeup->until((TimePoint::max)());
      const Result<void> woken = co_await wait;
      if (!woken) {
        Error error = woken.error();
        error.replay = ReplaySafety::not_sent;
        co_return error;
      }
    }
    // However little time it has: what has just been fetched is as good as it gets.
    asked = shared.outcome_of(asked.fetch, context.now());
    if (asked.key) co_return Got{std::move(asked.key), true};
    if (asked.failure) co_return std::move(*asked.failure);
  }
}

void RenewedKey::drop(std::uint64_t number) {
  State& shared = state();
  const std::lock_guard lock{shared.mutex};
  if (shared.kept && shared.kept->number == number) shared.kept.reset();
}

}  // namespace backstop::inline v0::detail
