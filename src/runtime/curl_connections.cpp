#include "runtime/curl_connections.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <stdexcept>
#include <utility>

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t pooled_handles = 128;
constexpr long longest_connection = 600;  // seconds

int close_socket(void* poller, curl_socket_t socket) noexcept {
  static_cast<SocketPoller*>(poller)->forget(socket);
  return ::close(socket);
}

/// What the system is told of a new socket: when a peer is gone this is noticed before most time limits pass.
int prepare_socket(void*, curl_socket_t socket, curlsocktype) noexcept {
#ifdef TCP_USER_TIMEOUT
  const unsigned int milliseconds = 30'000;
  static_cast<void>(::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds));
#else
  static_cast<void>(socket);
#endif
  return CURL_SOCKOPT_OK;
}

}  // namespace

CurlConnections::CurlConnections(Shared& shared, const Clock& clock, HttpOptions options,
                                 void (*prepare_handle)(CURL* easy, const CurlConnections& connections))
    : shared_{&shared},
      kind_{shared.kinds++},
      clock_{&clock},
      options_{std::move(options)},
      prepare_{prepare_handle},
      resolutions_{resolutions(options_)},
      share_{curl_share_init()},
      multi_{curl_multi_init()} {
  if (!multi_ || !share_) throw std::bad_alloc{};
  pool_.reserve(pooled_handles);  // they are given back where nothing can be thrown
  // Everything runs on one thread at a time, so that the share needs no locks.
  curl_share_setopt(share_.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  CURLM* const multi = multi_.get();
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options_.connections_per_host));
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options_.connections));
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(std::max(options_.idle_connections, 1)));
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &CurlConnections::watch_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &CurlConnections::set_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, static_cast<void*>(this));
}

CurlConnections::~CurlConnections() = default;

int CurlConnections::watch_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept {
  const auto& connections = *static_cast<CurlConnections*>(self);
  connections.shared_->poller.watch(socket, what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                                    what == CURL_POLL_OUT || what == CURL_POLL_INOUT, connections.kind_);
  return 0;
}

int CurlConnections::set_timer(CURLM*, long milliseconds, void* self) noexcept {
  auto& connections = *static_cast<CurlConnections*>(self);
  connections.due_ = milliseconds < 0    ? TimePoint::max()
                     : milliseconds == 0 ? TimePoint::min()
                                         : connections.clock_->now() + std::chrono::milliseconds{milliseconds};
  return 0;
}

// A program that the application starts meanwhile does not get the connections.
curl_socket_t CurlConnections::open_socket(const curl_sockaddr& address) noexcept {
#ifdef SOCK_CLOEXEC
  const curl_socket_t socket = ::socket(address.family, address.socktype | SOCK_CLOEXEC, address.protocol);
#else
  const curl_socket_t socket = ::socket(address.family, address.socktype, address.protocol);
#endif
  if (socket == CURL_SOCKET_BAD) return socket;
  try {
    shared_->poller.adopt(socket);
  } catch (const std::bad_alloc&) {  // then a process that is forked keeps it open
  }
  return socket;
}

void CurlConnections::act(curl_socket_t socket, int events) noexcept {
  int running = 0;
  curl_multi_socket_action(multi_.get(), socket, events, &running);
}

void CurlConnections::run_timer() noexcept {
  if (due_ == TimePoint::max() || (due_ != TimePoint::min() && due_ > clock_->now())) return;
  due_ = TimePoint::max();
  act(CURL_SOCKET_TIMEOUT, 0);
}

void CurlConnections::finish_transfers() noexcept {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    note_activity();
    void* of_handle = nullptr;
    const CURLcode code = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of_handle);
    auto& transfer = *static_cast<Transfer*>(of_handle);
    remove(transfer);
    transfer.finish(code);
  }
}

void CurlConnections::add(Transfer& transfer) {
  if (const CURLMcode code = curl_multi_add_handle(multi_.get(), transfer.easy()); code != CURLM_OK) {
    if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc{};
    throw std::runtime_error{fmt::format("libcurl refuses a transfer: {}", curl_multi_strerror(code))};
  }
  transfer.number_ = ++added_;
  transfer.after_ = std::exchange(first_, &transfer);
  if (transfer.after_ != nullptr) transfer.after_->before_ = &transfer;
}

void CurlConnections::remove(Transfer& transfer) noexcept {
  curl_multi_remove_handle(multi_.get(), transfer.easy());
  (transfer.before_ != nullptr ? transfer.before_->after_ : first_) = transfer.after_;
  if (transfer.after_ != nullptr) transfer.after_->before_ = transfer.before_;
  transfer.before_ = transfer.after_ = nullptr;
  if (suspected_.empty()) return;
  const auto suspicion = suspected_.find(transfer.origin_);
  if (suspicion == suspected_.end() || transfer.number_ > suspicion->second.last) return;
  if (--suspicion->second.running == 0) suspected_.erase(suspicion);
}

void CurlConnections::suspect(const Transfer& silent) {
  Suspicion suspicion{added_, 0};
  for (const Transfer* one = first_; one != nullptr; one = one->after_) {
    if (one->origin_ == silent.origin_) ++suspicion.running;
  }
  suspected_[silent.origin_] = suspicion;
}

Easy CurlConnections::take_easy() {
  Easy easy;
  if (!pool_.empty()) {
    easy = std::move(pool_.back());
    pool_.pop_back();
  } else {
    easy.reset(curl_easy_init());
    if (!easy) throw std::bad_alloc{};
    prepare(easy.get());
  }
  ++lent_;
  return easy;
}

void CurlConnections::give_back(Easy easy) noexcept {
  --lent_;
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, nullptr);  // it was the transfer's
  if (pool_.size() >= pooled_handles) return;
  pool_.push_back(std::move(easy));
}

// Once per handle: setting it costs as much as decoding a short answer.
void CurlConnections::prepare(CURL* easy) {
  set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(easy, CURLOPT_NOSIGNAL, 1L);
  set_option(easy, CURLOPT_QUICK_EXIT, 1L);  // a look-up that is given up is not waited for
  set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set_option(easy, CURLOPT_CLOSESOCKETFUNCTION, &close_socket);
  set_option(easy, CURLOPT_CLOSESOCKETDATA, static_cast<void*>(&shared_->poller));
  set_option(easy, CURLOPT_SOCKOPTFUNCTION, &prepare_socket);
  set_option(easy, CURLOPT_MAXLIFETIME_CONN, longest_connection);
  set_option(easy, CURLOPT_SHARE, share_.get());
  apply(easy, options_, resolutions_.get());
  prepare_(easy, *this);
}

}  // namespace backstop::inline v0::detail
