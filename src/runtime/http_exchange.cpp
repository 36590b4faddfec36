#include "runtime/http_exchange.hpp"

#include <new>
#include <utility>

#include "runtime/exception_error.hpp"
#include "runtime/thread_cache.hpp"

namespace backstop::inline v0 {
namespace {

// What may wait for a reader before the transfer is paused.
constexpr std::size_t pause_at = std::size_t{256} * 1024;

// Buffers that have grown are used again: growing them anew for every call costs as much as reading into them.
using KeptBuffers = detail::ThreadCache<std::string, 32>;
constexpr std::size_t smallest_kept_buffer = 512;  // so much a buffer has from the beginning
constexpr std::size_t largest_kept_buffer = 2 * pause_at;

void keep(std::string buffer) noexcept {
  if (buffer.capacity() < smallest_kept_buffer || buffer.capacity() > largest_kept_buffer) return;
  buffer.clear();
  KeptBuffers::keep(std::move(buffer));
}

/// Whether the connection may be dead, which TCP would find out late: it was silent for as long as a target is given.
/// `waited` for the first byte; a deadline says that only when it was not short.
[[nodiscard]] bool was_silent(StopReason reason, bool answered, Duration waited) noexcept {
  constexpr std::chrono::seconds short_deadline{5};
  switch (reason) {
    case StopReason::idle: return true;
    case StopReason::first_byte:
    case StopReason::first_token:
    case StopReason::attempt: return !answered;
    case StopReason::deadline_share:
    case StopReason::client_deadline:
    case StopReason::deadline: return !answered && waited >= short_deadline;
    default: return false;
  }
}

}  // namespace

HttpExchange::HttpExchange(const HttpRequest& request, const CallContext& context)
    : context_{&context}, parked_{context.runtime(), &context.state()}, started_{context.now()} {
  if (context.stopping()) {
    error_ = context.stop_error();
    ended_ = true;
    return;
  }
  if (AttemptProgress* progress = context.progress()) progress->network = true;
  context.stop().subscribe(*this);
  transfer_ = context.runtime().http().start(request, *this);
}

HttpExchange::~HttpExchange() {
  transfer_.reset();  // delivers nothing any more
  keep(std::move(arrived_));
  keep(std::move(taken_));
}

void HttpExchange::give_buffers_back() noexcept {
  keep(std::exchange(taken_, {}));
  if (arrived_.empty()) keep(std::exchange(arrived_, {}));
}

void HttpExchange::on_waiting() noexcept {
  if (AttemptProgress* progress = context_->progress()) progress->waits_for_connection = true;
}

void HttpExchange::on_connecting() noexcept {
  AttemptProgress* progress = context_->progress();
  if (progress == nullptr) return;
  progress->waits_for_connection = false;
  progress->connecting = context_->runtime().refresh_now();
}

void HttpExchange::on_connected() noexcept {
  if (AttemptProgress* progress = context_->progress()) progress->connected = context_->runtime().refresh_now();
}

void HttpExchange::on_head(HttpResponseHead head) noexcept {
  head_ = std::move(head);
  head_arrived_ = true;
  if (AttemptProgress* progress = context_->progress()) {
    const TimePoint now = context_->runtime().refresh_now();
    if (!AttemptProgress::reached(progress->connected)) progress->connected = now;
    progress->first_byte = now;
    progress->last_byte = now;
  }
  parked_.wake();
}

bool HttpExchange::on_body(std::string_view bytes) noexcept {
  if (ended_ || bytes.empty()) return true;  // ended by what could not be kept
  if (!arrived_.empty() && arrived_.size() + bytes.size() > pause_at) {
    paused_ = true;
    return false;
  }
  if (AttemptProgress* progress = context_->progress()) {
    // What comes before anybody has read the rest comes in the same turn of the loop, as do most pieces of a stream.
    progress->last_byte = arrived_.empty() ? context_->runtime().refresh_now() : context_->runtime().now();
  }
  try {
    if (arrived_.empty() && arrived_.capacity() < smallest_kept_buffer) {
      if (auto kept = KeptBuffers::take()) arrived_ = *std::move(kept);
      arrived_.reserve(smallest_kept_buffer);
    }
    arrived_.append(bytes);
  } catch (const std::bad_alloc&) {
    Error error = detail::out_of_memory();
    error.replay = ReplaySafety::maybe_processed;
    on_end(std::move(error));
    return true;
  }
  parked_.wake();
  return true;
}

void HttpExchange::on_end(std::optional<Error> error) noexcept {
  if (ended_) return;
  error_ = std::move(error);
  ended_ = true;
  unsubscribe();
  parked_.wake();
}

void HttpExchange::on_stop() noexcept {
  if (transfer_ && was_silent(context_->stop().reason(), head_arrived_, context_->now() - started_)) {
    transfer_->retire_connection();
  }
  transfer_.reset();
  error_ = context_->stop_error();
  ended_ = true;
  arrived_.clear();
  parked_.wake();
}

Result<void> HttpExchange::head_result() const {
  if (error_ && (!head_arrived_ || context_->stopping())) return *error_;
  return {};
}

Result<std::string_view> HttpExchange::take() {
  if (!arrived_.empty()) {
    taken_.swap(arrived_);
    arrived_.clear();
    if (paused_ && transfer_) {
      paused_ = false;
      transfer_->resume();
    }
    return std::string_view{taken_};
  }
  if (error_) return *error_;
  return std::string_view{};
}

}  // namespace backstop::inline v0
