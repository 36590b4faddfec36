#include "wire_trace.hpp"

#include <algorithm>
#include <utility>

#include "backstop/runtime/clock.hpp"
#include "providers/failure/secret_headers.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

WireTrace::WireTrace(Runtime& runtime, const WireLog& log, const Target& target, const HttpRequest& request,
                     Secrets secrets)
    : runtime_{&runtime},
      log_{&log},
      target_{target},
      secrets_{std::move(secrets)},
      number_{runtime.next_exchange()},
      begun_{runtime.refresh_now()},
      method_{request.method},
      url_{masked(request.url)} {
  write(request);
}

WireTrace::~WireTrace() { write_response(); }

void WireTrace::note_head(const HttpResponseHead& head) { head_ = head; }

void WireTrace::add(std::string_view bytes) {
  body_size_ += bytes.size();
  if (!log_->bodies) return;
  body_.append(bytes.substr(0, log_->largest_body - std::min(log_->largest_body, body_.size())));
}

void WireTrace::write(const HttpRequest& request) noexcept {
  try {
    const std::vector<Header> headers = masked(request.headers);
    const std::string body =
        log_->bodies ? masked(std::string_view{request.body}.substr(0, log_->largest_body)) : std::string{};
    WireEvent event{.target = target_, .headers = headers};
    event.number = number_;
    event.method = method_;
    event.url = url_;
    event.body = body;
    event.body_size = request.body.size();
    log_->write(event);
  } catch (...) {
    // As `WireLog::write` says; so, too, where there is no memory for it.
  }
}

void WireTrace::write_response() noexcept {
  try {
    const std::vector<Header> headers = masked(head_.headers);
    const std::string body = masked(body_);
    WireEvent event{.target = target_, .headers = headers};
    event.type = WireEvent::Type::response;
    event.number = number_;
    event.method = method_;
    event.url = url_;
    event.status = head_.status;
    event.body = body;
    event.body_size = body_size_;
    event.elapsed = saturating_difference(runtime_->refresh_now(), begun_);
    log_->write(event);
  } catch (...) {
    // As above.
  }
}

std::vector<Header> WireTrace::masked(const std::vector<Header>& headers) const {
  std::vector<Header> all;
  all.reserve(headers.size());
  for (const Header& header : headers) {
    const bool secret = carries_secret(header.first) || equal_ignoring_case(header.first, "set-cookie");
    all.emplace_back(header.first, secret ? std::string{"***"} : masked(header.second));
  }
  return all;
}

std::string WireTrace::masked(std::string_view text) const {
  std::string copy{text};
  secrets_.redact(copy);
  return copy;
}

}  // namespace backstop::inline v0::detail
