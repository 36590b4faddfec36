#include "runtime/http_exchange.hpp"

#include <utility>

#include "runtime/thread_cache.hpp"

namespace backstop::inline v0 {
namespace {

// What may wait for a reader before the transfer is paused.
constexpr std::size_t pause_at = std::size_t{256} * 1024;

// Buffers that have grown are used again: growing them anew for every call costs as much as reading into them.
using KeptBuffers = detail::ThreadCache<std::string, 32>;
constexpr std::size_t smallest_kept_buffer = 4096;
constexpr std::size_t largest_kept_buffer = 2 * pause_at;

void keep(std::string buffer) noexcept {
  if (buffer.capacity() < smallest_kept_buffer || buffer.capacity() > largest_kept_buffer) return;
  buffer.clear();
  KeptBuffers::keep(std::move(buffer));
}

}  // namespace

HttpExchange::HttpExchange(const HttpRequest& request, const CallContext& context)
    : context_{&context}, parked_{context.runtime(), &context.state()} {
  if (context.stopping()) {
    error_ = context.stop_error();
    ended_ = true;
    return;
  }
  if (AttemptProgress* progress = context.progress()) progress->network = true;
  context.stop().subscribe(*this);
  if (auto kept = KeptBuffers::take()) arrived_ = *std::move(kept);
  if (auto kept = KeptBuffers::take()) taken_ = *std::move(kept);
  transfer_ = context.runtime().http().start(request, *this);
}

HttpExchange::~HttpExchange() {
  transfer_.reset();  // delivers nothing any more
  keep(std::move(arrived_));
  keep(std::move(taken_));
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
  if (!arrived_.empty() && arrived_.size() + bytes.size() > pause_at) {
    paused_ = true;
    return false;
  }
  if (AttemptProgress* progress = context_->progress()) {
    // What comes before anybody has read the rest comes in the same turn of the loop, as do most pieces of a stream.
    progress->last_byte = arrived_.empty() ? context_->runtime().refresh_now() : context_->runtime().now();
  }
  arrived_.append(bytes);
  parked_.wake();
  return true;
}

void HttpExchange::on_end(std::optional<Error> error) noexcept {
  error_ = std::move(error);
  ended_ = true;
  unsubscribe();
  parked_.wake();
}

void HttpExchange::on_stop() noexcept {
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
