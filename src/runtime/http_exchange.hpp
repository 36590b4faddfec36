#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/result.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/http_transport.hpp"

namespace backstop::inline v0 {

/// One HTTP request and its answer, for coroutines: `co_await exchange.head()`, then `co_await exchange.read()` until
/// it yields nothing. Notes the attempt's progress, stops with the call, and pauses the transfer when what was read
/// is not taken.
///
/// Errors: `connect_failed` or `stream_interrupted` from the transport; the stop's error when the call is stopped.
class HttpExchange final : private HttpReceiver, private StopCallback {
 public:
  /// Starts sending. `request` and `context` must outlive the exchange.
  HttpExchange(const HttpRequest& request, const CallContext& context);
  ~HttpExchange();

  class [[nodiscard]] HeadAwaiter {
   public:
    explicit HeadAwaiter(HttpExchange& exchange) noexcept : exchange_{&exchange} {}
    [[nodiscard]] bool await_ready() const noexcept { return exchange_->head_arrived_ || exchange_->ended_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { exchange_->parked_.park(waiting); }
    [[nodiscard]] Result<void> await_resume() const { return exchange_->head_result(); }

   private:
    HttpExchange* exchange_;
  };
  class [[nodiscard]] ReadAwaiter {
   public:
    explicit ReadAwaiter(HttpExchange& exchange) noexcept : exchange_{&exchange} {}
    [[nodiscard]] bool await_ready() const noexcept { return exchange_->readable(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      exchange_->give_buffers_back();
      exchange_->parked_.park(waiting);
    }
    [[nodiscard]] Result<std::string_view> await_resume() const { return exchange_->take(); }

   private:
    HttpExchange* exchange_;
  };
  /// Waits for the status line and header fields, then see `response()`.
  [[nodiscard]] HeadAwaiter head() noexcept { return HeadAwaiter{*this}; }
  /// More of the body, valid until the next `read`; empty at the end.
  [[nodiscard]] ReadAwaiter read() noexcept { return ReadAwaiter{*this}; }
  [[nodiscard]] const HttpResponseHead& response() const noexcept { return head_; }

 private:
  void on_waiting() noexcept override;
  void on_connecting() noexcept override;
  void on_connected() noexcept override;
  void on_head(HttpResponseHead head) noexcept override;
  bool on_body(std::string_view bytes) noexcept override;
  void on_end(std::optional<Error> error) noexcept override;
  void on_stop() noexcept override;

  /// While it waits it needs none: what comes for another stream goes into one that has just been used.
  void give_buffers_back() noexcept;
  [[nodiscard]] bool readable() const noexcept { return !arrived_.empty() || ended_; }
  [[nodiscard]] Result<void> head_result() const;
  [[nodiscard]] Result<std::string_view> take();

  const CallContext* context_;
  HttpResponseHead head_;
  std::string arrived_;   // by the transport, not yet taken
  std::string taken_;     // what the last `read` returned a view of
  Parked parked_;
  TimePoint started_;
  std::optional<Error> error_;
  bool head_arrived_ = false;
  bool ended_ = false;
  bool paused_ = false;
  std::unique_ptr<HttpTransfer> transfer_;
};

}  // namespace backstop::inline v0
