#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_options.hpp"

namespace backstop::inline v0 {

/// One HTTP request.
struct HttpRequest {
  std::string method = "POST";
  std::string url;
  std::vector<Header> headers;
  std::string body;
  const HttpOptions* options = nullptr;  ///< of the target; null: the transport's own
};

/// The status line and header fields of an answer.
struct HttpResponseHead {
  int status = 0;
  std::vector<Header> headers;
  /// The server had given up a kept connection and said so (408), so that the request went out again, on a fresh one.
  bool asked_again = false;

  /// The value of the first field of that name, in any case; empty when absent.
  [[nodiscard]] BACKSTOP_EXPORT std::string_view header(std::string_view name) const noexcept;
};

/// Where a transfer delivers to. Called on the thread that drives the runtime, from inside `HttpTransport::wait`;
/// `on_waiting` from `start`, `on_body` also from `resume`. Must not call the transport from there.
class HttpReceiver {
 public:
  /// All connections that there may be are others': it waits, until `on_connecting`.
  virtual void on_waiting() noexcept {}
  /// It is its turn. Only where it has waited.
  virtual void on_connecting() noexcept {}
  /// The connection stands (TLS included) and the request goes out.
  virtual void on_connected() noexcept = 0;
  virtual void on_head(HttpResponseHead head) noexcept = 0;
  /// More of the body, perhaps nothing. False means "not now": the bytes are offered again after `HttpTransfer::resume`.
  virtual bool on_body(std::string_view bytes) noexcept = 0;
  /// The end, once: no error for a complete answer of whatever status.
  /// `connect_failed` when no head came, `stream_interrupted` when the connection broke later; `Error::replay` says
  /// whether the request can have arrived.
  virtual void on_end(std::optional<Error> error) noexcept = 0;

 protected:
  ~HttpReceiver() = default;
};

/// A running transfer. Destroying it aborts it: its connection is closed unless the answer was complete, and the
/// receiver is not called again.
class HttpTransfer {
 public:
  virtual ~HttpTransfer() = default;
  /// Goes on after the receiver refused bytes.
  virtual void resume() noexcept = 0;
  /// Before it is destroyed: no other transfer may go onto its connection, on which nothing came.
  virtual void retire_connection() noexcept {}
};

/// Carries HTTP for a `Runtime`, and is what the runtime waits on.
///
/// Thread safety: `wake` may be called from any thread, everything else on the thread that drives the runtime.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  /// `request` and `receiver` must outlive the transfer.
  virtual std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) = 0;
  /// Does what input and output there is, and blocks until `until` at the latest when there is none.
  /// A point in the past means "do not block", `TimePoint::max()` "as long as it takes". It must not throw where the
  /// background driver or the destructor of a call may drive.
  virtual void wait(TimePoint until) = 0;
  /// Ends a `wait`, now or the next one.
  virtual void wake() noexcept = 0;
  /// A descriptor that is readable while `wait` has something to do, and not any more once it has done it; -1: there is
  /// none.
  [[nodiscard]] virtual int poll_fd() const noexcept { return -1; }
  /// When `wait` has something to do though nothing comes.
  [[nodiscard]] virtual TimePoint next_due() const noexcept { return (TimePoint::max)(); }
  /// In a process that was forked: closes what it shares with the parent, in this process only, and makes a transport
  /// of this process. Its own memory stays. Null: it goes on as it is.
  [[nodiscard]] virtual std::unique_ptr<HttpTransport> leave_parent() { return nullptr; }
};

/// The real transport: libcurl. Connections, TLS sessions and DNS answers are kept and used again; HTTP/2 is used
/// where a server offers it over TLS; certificates are verified; redirects are not followed. A request is never sent
/// twice: when a kept connection dies with it, the transfer fails. Only where the server says 408 on a kept connection,
/// which is how it gives one up that was idle, is it asked again, and `HttpResponseHead::asked_again` is set.
///
/// Errors: std::invalid_argument with `problem_with(options)`, std::system_error without free descriptors.
[[nodiscard]] BACKSTOP_EXPORT std::unique_ptr<HttpTransport> curl_transport(const Clock& clock, HttpOptions options = {});

}  // namespace backstop::inline v0
