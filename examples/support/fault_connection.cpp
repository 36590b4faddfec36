#include "fault_connection.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <cerrno>
#include <utility>

#include "fault_http.hpp"

namespace backstop::faults {
namespace {

// So that one client that reads fast does not keep the others waiting.
constexpr int steps_per_turn = 256;

}  // namespace

Connection::Connection(SocketHandle socket, std::size_t number) : socket_{std::move(socket)}, number_{number} {}

short Connection::interest() const noexcept {
  const bool wants_to_send = script_ && !hanging_ && !resumes_at_;
  return static_cast<short>(POLLIN | (wants_to_send ? POLLOUT : 0));
}

void Connection::receive() {
  char buffer[16 * 1024];
  while (is_open()) {
    const auto count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (count > 0) {
      received_.append(buffer, static_cast<std::size_t>(count));
      if (static_cast<std::size_t>(count) < sizeof buffer) return;
    } else if (count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
      return client_left();
    } else if (errno != EINTR) {
      return;
    }
  }
}

std::optional<ReceivedRequest> Connection::take_request() {
  if (script_ || !is_open()) return std::nullopt;
  ReceivedRequest request;
  switch (reader_.read(received_, request)) {
    case RequestReader::Outcome::incomplete:
      return std::nullopt;
    case RequestReader::Outcome::wants_continue:
      if (!perform_send(response_head(100, {}))) close();
      offset_ = 0;
      return std::nullopt;
    case RequestReader::Outcome::invalid:
      perform_send(whole_response(400, {{"connection", "close"}}, "not a request that is understood here\n"));
      close();
      return std::nullopt;
    case RequestReader::Outcome::complete:
      break;
  }
  closes_after_ = request.header("connection") == "close";
  request.connection = number_;
  return request;
}

void Connection::play(std::shared_ptr<const Script> script) {
  script_ = std::move(script);
  step_ = 0;
  offset_ = 0;
}

void Connection::advance(Time now) {
  if (resumes_at_ && *resumes_at_ > now) return;
  resumes_at_.reset();
  for (int turn = 0; turn < steps_per_turn && script_ && !hanging_; ++turn) {
    if (step_ == script_->steps.size() && script_->repeat_from) step_ = *script_->repeat_from;
    if (step_ == script_->steps.size()) {
      script_.reset();
      if (closes_after_) close();
      return;
    }
    const auto current = script_;  // a step may end the script
    if (!perform(current->steps[step_], now)) return;
    ++step_;
    offset_ = 0;
  }
}

bool Connection::perform(const Step& step, Time now) {
  if (const auto* send = std::get_if<Send>(&step)) return perform_send(send->bytes);
  if (const auto* pause = std::get_if<Pause>(&step)) {
    resumes_at_ = now + pause->duration;
    ++step_;
    offset_ = 0;
  } else if (std::holds_alternative<Hang>(step)) {
    hanging_ = true;
  } else if (std::holds_alternative<Close>(step)) {
    close();
  } else {
    reset();
  }
  return false;
}

bool Connection::perform_send(const std::string& bytes) {
  while (offset_ < bytes.size()) {
    const auto count = ::send(socket_.get(), bytes.data() + offset_, bytes.size() - offset_, MSG_NOSIGNAL);
    if (count >= 0) {
      offset_ += static_cast<std::size_t>(count);
      sent_ += static_cast<std::uint64_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return false;
    } else if (errno != EINTR) {
      client_left();
      return false;
    }
  }
  return true;
}

void Connection::client_left() {
  abandoned_ = script_ != nullptr;
  close();
}

void Connection::close() {
  script_.reset();
  resumes_at_.reset();
  socket_.close();
}

void Connection::reset() {
  // Lingering for no time makes close() send RST instead of FIN.
  const linger abrupt{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &abrupt, sizeof abrupt);
  close();
}

}  // namespace backstop::faults
