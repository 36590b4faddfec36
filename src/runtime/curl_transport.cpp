#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "backstop/runtime/http_transport.hpp"
#include "runtime/curl_options.hpp"
#include "runtime/exception_error.hpp"
#include "runtime/socket_poller.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::size_t header_limit = std::size_t{256} * 1024;
constexpr std::size_t pooled_handles = 128;
constexpr long longest_connection = 600;  // seconds

struct EasyCloser {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyCloser>;

/// Failures that a repeat cannot mend: the address or the certificates are wrong.
constexpr bool is_configuration_fault(CURLcode code) noexcept {
  constexpr std::array faults{CURLE_URL_MALFORMAT,       CURLE_UNSUPPORTED_PROTOCOL, CURLE_PEER_FAILED_VERIFICATION,
                              CURLE_SSL_CACERT_BADFILE,  CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,
                              CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ISSUER_ERROR,     CURLE_SSL_PINNEDPUBKEYNOTMATCH,
                              CURLE_INTERFACE_FAILED};
  return std::find(faults.begin(), faults.end(), code) != faults.end();
}

/// Those that are open.
using Sockets = std::unordered_set<curl_socket_t>;

class CurlConnections;

class CurlTransfer final : public HttpTransfer {
 public:
  CurlTransfer(CurlConnections& connections, const HttpRequest& request, HttpReceiver& receiver);
  ~CurlTransfer() override;

  void resume() noexcept override { curl_easy_pause(easy_.get(), CURLPAUSE_CONT); }
  void retire_connection() noexcept override;

  /// libcurl is done with it; called from outside libcurl.
  void finish(CURLcode code) noexcept;
  [[nodiscard]] const std::string& origin() const noexcept { return origin_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }

 private:
  friend class CurlConnections;
  static std::size_t receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static std::size_t receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static int before_request(void* self, char*, char*, int, int) noexcept;
  static int before_lookup(void*, void*, void* self) noexcept;
  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept;

  void header_line(std::string_view line);
  void its_turn() noexcept;
  [[nodiscard]] bool on_kept_connection() const noexcept;
  [[nodiscard]] bool restart() noexcept;
  [[nodiscard]] Error error_of(CURLcode code) const;

  CurlConnections* connections_;
  CurlTransfer* before_ = nullptr;  // in the list of those that run
  CurlTransfer* after_ = nullptr;
  std::uint64_t number_ = 0;
  HttpReceiver* receiver_;
  detail::CurlList headers_;
  Easy easy_;
  HttpResponseHead head_;
  std::size_t header_bytes_ = 0;
  bool waiting_ = false;  ///< perhaps, for a connection that others have
  bool connected_ = false;
  bool died_ = false;  ///< the connection, with the request on it and no answer
  bool head_delivered_ = false;
  bool head_too_large_ = false;
  bool proxy_refused_ = false;
  bool out_of_memory_ = false;
  bool active_ = false;
  bool retired_ = false;    ///< its connection must not be used again
  bool again_ = false;      ///< the server had given up the kept connection, and says so with 408
  bool restarted_ = false;  ///< because of that, on a fresh one
  std::string origin_;      ///< scheme, host and port
  std::string_view host_;   ///< of it
  std::array<char, CURL_ERROR_SIZE> curl_message_;
};

int close_socket(void* sockets, curl_socket_t socket) noexcept {
  static_cast<Sockets*>(sockets)->erase(socket);
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

/// Connections that are made alike, and the transfers that use them: those of the runtime's options, or of a target's
/// own. libcurl would use some of a target's connections for others, which have not asked for its interface or key.
class CurlConnections {
 public:
  /// What the transport has for all of them.
  struct Shared {
    detail::SocketPoller poller;
    Sockets open;
    std::uint32_t kinds = 0;  // of connections, that there have been
    bool active = false;      // something came, or ended
  };

  CurlConnections(Shared& shared, const Clock& clock, HttpOptions options)
      : shared_{&shared},
        kind_{shared.kinds++},
        clock_{&clock},
        options_{std::move(options)},
        resolutions_{detail::resolutions(options_)} {
    multi_ = curl_multi_init();
    share_ = curl_share_init();
    if (multi_ == nullptr || share_ == nullptr) throw std::bad_alloc{};
    pool_.reserve(pooled_handles);  // they are given back where nothing can be thrown
    // Everything runs on one thread at a time, so that the share needs no locks.
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, static_cast<long>(options_.connections_per_host));
    curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, static_cast<long>(options_.connections));
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(std::max(options_.idle_connections, 1)));
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlConnections::watch_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlConnections::set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, static_cast<void*>(this));
  }
  ~CurlConnections() {
    pool_.clear();
    curl_multi_cleanup(multi_);
    curl_share_cleanup(share_);
  }
  CurlConnections(const CurlConnections&) = delete;
  CurlConnections& operator=(const CurlConnections&) = delete;

  [[nodiscard]] const HttpOptions& options() const noexcept { return options_; }
  [[nodiscard]] Sockets& sockets() noexcept { return shared_->open; }
  [[nodiscard]] std::uint32_t kind() const noexcept { return kind_; }
  [[nodiscard]] bool in_use() const noexcept { return first_ != nullptr; }
  [[nodiscard]] bool are_limited() const noexcept { return options_.connections != 0 || options_.connections_per_host != 0; }
  /// When libcurl has something to do though nothing comes.
  [[nodiscard]] TimePoint due() const noexcept { return due_; }
  void note_activity() noexcept { shared_->active = true; }

  void act(curl_socket_t socket, int events) noexcept {
    int running = 0;
    curl_multi_socket_action(multi_, socket, events, &running);
  }
  /// libcurl's own: new transfers, those that were paused, its time limits.
  void run_timer() noexcept {
    if (due_ == TimePoint::max() || (due_ != TimePoint::min() && due_ > clock_->now())) return;
    due_ = TimePoint::max();
    act(CURL_SOCKET_TIMEOUT, 0);
  }
  void finish_transfers() noexcept {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      note_activity();
      void* transfer = nullptr;
      const CURLcode code = message->data.result;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      static_cast<CurlTransfer*>(transfer)->finish(code);
    }
  }

  void add(CurlTransfer& transfer) {
    if (const CURLMcode code = curl_multi_add_handle(multi_, transfer.easy()); code != CURLM_OK) {
      if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc{};
      throw std::runtime_error{fmt::format("libcurl refuses a transfer: {}", curl_multi_strerror(code))};
    }
    transfer.number_ = ++added_;
    transfer.after_ = std::exchange(first_, &transfer);
    if (transfer.after_ != nullptr) transfer.after_->before_ = &transfer;
  }
  void remove(CurlTransfer& transfer) noexcept {
    curl_multi_remove_handle(multi_, transfer.easy());
    (transfer.before_ != nullptr ? transfer.before_->after_ : first_) = transfer.after_;
    if (transfer.after_ != nullptr) transfer.after_->before_ = transfer.before_;
    transfer.before_ = transfer.after_ = nullptr;
    if (suspected_.empty()) return;
    const auto suspicion = suspected_.find(transfer.origin());
    if (suspicion == suspected_.end() || transfer.number() > suspicion->second.last) return;
    if (--suspicion->second.running == 0) suspected_.erase(suspicion);
  }

  /// A connection of that transfer's origin is silent. Others may be on it, so that libcurl keeps it until they have
  /// ended: until then what is new goes onto connections of its own.
  void suspect(const CurlTransfer& silent) {
    Suspicion suspicion{added_, 0};
    for (const CurlTransfer* one = first_; one != nullptr; one = one->after_) {
      if (one->origin() == silent.origin()) ++suspicion.running;
    }
    suspected_[silent.origin()] = suspicion;
  }
  [[nodiscard]] bool is_suspected(const std::string& origin) const {
    return !suspected_.empty() && suspected_.contains(origin);
  }

  [[nodiscard]] Easy take_easy() {
    Easy easy;
    if (!pool_.empty()) {
      easy = std::move(pool_.back());
      pool_.pop_back();
      return easy;
    }
    easy.reset(curl_easy_init());
    if (!easy) throw std::bad_alloc{};
    prepare(easy.get());
    return easy;
  }
  void give_back(Easy easy) noexcept {
    if (pool_.size() >= pooled_handles) return;
    curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, nullptr);  // it was the transfer's
    try {
      pool_.push_back(std::move(easy));
    } catch (const std::bad_alloc&) {  // then it is not kept
    }
  }

 private:
  static int watch_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept {
    const auto& connections = *static_cast<CurlConnections*>(self);
    connections.shared_->poller.watch(socket, what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                                      what == CURL_POLL_OUT || what == CURL_POLL_INOUT, connections.kind_);
    return 0;
  }
  static int set_timer(CURLM*, long milliseconds, void* self) noexcept {
    auto& connections = *static_cast<CurlConnections*>(self);
    connections.due_ = milliseconds < 0    ? TimePoint::max()
                       : milliseconds == 0 ? TimePoint::min()
                                           : connections.clock_->now() + std::chrono::milliseconds{milliseconds};
    return 0;
  }

  /// What is the same for all transfers, set once per handle: setting it costs as much as decoding a short answer.
  void prepare(CURL* easy) {
    detail::set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    detail::set_option(easy, CURLOPT_NOSIGNAL, 1L);
    detail::set_option(easy, CURLOPT_QUICK_EXIT, 1L);  // a look-up that is given up is not waited for
    detail::set_option(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    detail::set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlTransfer::open_socket);
    detail::set_option(easy, CURLOPT_CLOSESOCKETFUNCTION, &close_socket);
    detail::set_option(easy, CURLOPT_CLOSESOCKETDATA, static_cast<void*>(&shared_->open));
    detail::set_option(easy, CURLOPT_SOCKOPTFUNCTION, &prepare_socket);
    detail::set_option(easy, CURLOPT_MAXLIFETIME_CONN, longest_connection);
    detail::set_option(easy, CURLOPT_SHARE, share_);
    detail::set_option(easy, CURLOPT_HEADERFUNCTION, &CurlTransfer::receive_header);
    detail::set_option(easy, CURLOPT_WRITEFUNCTION, &CurlTransfer::receive_body);
    detail::set_option(easy, CURLOPT_PREREQFUNCTION, &CurlTransfer::before_request);
    if (are_limited()) detail::set_option(easy, CURLOPT_RESOLVER_START_FUNCTION, &CurlTransfer::before_lookup);
    detail::apply(easy, options_, resolutions_.get());
  }

  Shared* shared_;
  std::uint32_t kind_;
  const Clock* clock_;
  const HttpOptions options_;
  detail::CurlList resolutions_;
  TimePoint due_ = TimePoint::max();  // libcurl's timer
  CURLM* multi_ = nullptr;
  CURLSH* share_ = nullptr;
  std::vector<Easy> pool_;
  CurlTransfer* first_ = nullptr;  // of those that run
  std::uint64_t added_ = 0;
  struct Suspicion {
    std::uint64_t last;   // the latest transfer that may be on a silent connection
    std::size_t running;  // how many of those there are
  };
  std::unordered_map<std::string, Suspicion> suspected_;  // by origin
};

class CurlTransport final : public HttpTransport {
 public:
  CurlTransport(const Clock& clock, HttpOptions options) : clock_{&clock} {
    static std::once_flag once;
    std::call_once(once, [] {
      if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl cannot be initialised"};
    });
    all_.push_back(std::make_unique<CurlConnections>(shared_, clock, std::move(options)));
  }

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override {
    return std::make_unique<CurlTransfer>(connections_for(request.options), request, receiver);
  }

  void wait(TimePoint until) override {
    shared_.active = false;
    bool in_use = false;
    TimePoint due = until;
    for (const auto& connections : all_) {
      connections->run_timer();
      connections->finish_transfers();  // some fail at once
      in_use = in_use || connections->in_use();
      due = std::min(due, connections->due());
    }
    const int milliseconds = shared_.active ? 0 : wait_time(due);
    if (in_use || milliseconds != 0 || shared_.poller.woken()) {
      for (const detail::SocketPoller::Ready& ready : shared_.poller.wait(milliseconds)) {
        const auto connections = std::find_if(all_.begin(), all_.end(),
                                              [&](const auto& one) { return one->kind() == ready.owner; });
        if (connections == all_.end()) continue;
        (*connections)->act(ready.socket, (ready.readable ? CURL_CSELECT_IN : 0) | (ready.writable ? CURL_CSELECT_OUT : 0) |
                                           (ready.failed ? CURL_CSELECT_ERR : 0));
      }
      for (const auto& connections : all_) connections->run_timer();
    }
    for (const auto& connections : all_) connections->finish_transfers();
  }

  void wake() noexcept override { shared_.poller.wake(); }
  int poll_fd() const noexcept override { return shared_.poller.descriptor(); }
  TimePoint next_due() const noexcept override {
    TimePoint due = TimePoint::max();
    for (const auto& connections : all_) due = std::min(due, connections->due());
    return due;
  }

  // libcurl would say goodbye on the parent's connections: they are closed behind its back.
  std::unique_ptr<HttpTransport> leave_parent() override {
    for (const curl_socket_t socket : shared_.open) ::close(socket);
    shared_.poller.close();
    return std::make_unique<CurlTransport>(*clock_, all_.front()->options());
  }

 private:
  static constexpr std::size_t most_kinds = 64;

  [[nodiscard]] CurlConnections& connections_for(const HttpOptions* of_target) {
    if (of_target == nullptr) return *all_.front();
    HttpOptions options = detail::merged(all_.front()->options(), *of_target);
    for (const auto& connections : all_) {
      if (connections->options() == options) return *connections;
    }
    if (all_.size() >= most_kinds) {  // an application that makes ever new ones
      const auto unused = std::find_if(all_.begin() + 1, all_.end(), [](const auto& one) { return !one->in_use(); });
      if (unused != all_.end()) all_.erase(unused);
    }
    return *all_.emplace_back(std::make_unique<CurlConnections>(shared_, *clock_, std::move(options)));
  }

  [[nodiscard]] int wait_time(TimePoint until) const noexcept {
    constexpr std::chrono::milliseconds longest{60'000};
    if (until == TimePoint::min()) return 0;
    if (until == TimePoint::max()) return static_cast<int>(longest.count());
    const Duration left = saturating_difference(until, clock_->now());
    if (left <= Duration::zero()) return 0;
    if (left >= longest) return static_cast<int>(longest.count());
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
  }

  const Clock* clock_;
  CurlConnections::Shared shared_;
  std::vector<std::unique_ptr<CurlConnections>> all_;  // the first are the runtime's own
};

CurlTransfer::CurlTransfer(CurlConnections& connections, const HttpRequest& request, HttpReceiver& receiver)
    : connections_{&connections}, receiver_{&receiver}, easy_{connections.take_easy()} {
  CURL* easy = easy_.get();
  curl_message_[0] = '\0';
  head_.headers.reserve(16);
  detail::set_option(easy, CURLOPT_URL, request.url.c_str());
  detail::set_option(easy, CURLOPT_ERRORBUFFER, curl_message_.data());
  detail::set_option(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
  detail::set_option(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  detail::set_option(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  detail::set_option(easy, CURLOPT_PREREQDATA, static_cast<void*>(this));
  detail::set_option(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  detail::set_option(easy, CURLOPT_PIPEWAIT, request.url.starts_with("https:") ? 1L : 0L);
  if (request.method == "POST") {
    detail::set_option(easy, CURLOPT_POST, 1L);
    detail::set_option(easy, CURLOPT_POSTFIELDS, request.body.data());
    detail::set_option(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else {
    detail::set_option(easy, CURLOPT_HTTPGET, 1L);
  }
  detail::set_option(easy, CURLOPT_CUSTOMREQUEST,
      request.method == "POST" || request.method == "GET" ? nullptr : request.method.c_str());
  detail::append(headers_, "Expect:");  // no round trip before a large body
  std::string line;
  for (const auto& [name, value] : request.headers) {
    line.assign(name).append(value.empty() ? ";" : ": ").append(value);
    detail::append(headers_, line.c_str());
  }
  detail::set_option(easy, CURLOPT_HTTPHEADER, headers_.get());

  const std::size_t scheme = request.url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  origin_ = request.url.substr(0, request.url.find_first_of("/?#", host));
  if (const std::size_t at = origin_.rfind('@'); at != std::string::npos && at >= host) origin_.erase(host, at + 1 - host);
  host_ = std::string_view{origin_}.substr(host);
  detail::set_option(easy, CURLOPT_FRESH_CONNECT, connections.is_suspected(origin_) ? 1L : 0L);
  if (connections.are_limited()) {
    detail::set_option(easy, CURLOPT_RESOLVER_START_DATA, static_cast<void*>(this));
    waiting_ = true;
    receiver.on_waiting();
  }
  connections.add(*this);
  active_ = true;
}

CurlTransfer::~CurlTransfer() {
  if (active_) connections_->remove(*this);
  if (retired_ && connections_->options().idle_connections != 0) {
    curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 0L);
  }
  connections_->give_back(std::move(easy_));
}

void CurlTransfer::retire_connection() noexcept {
  if (!active_ || retired_) return;
  retired_ = true;
  curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 1L);
  try {
    connections_->suspect(*this);
  } catch (...) {  // no memory to note it: the connection is closed once nobody is on it
  }
}

std::size_t CurlTransfer::receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.header_bytes_ += count;
  if (transfer.header_bytes_ > header_limit) {
    transfer.head_too_large_ = true;
    return 0;
  }
  try {
    transfer.header_line({bytes, count});
  } catch (const std::bad_alloc&) {
    transfer.out_of_memory_ = true;
    return 0;
  }
  return (transfer.again_ && !transfer.restarted_) || transfer.proxy_refused_ ? 0 : count;
}

bool CurlTransfer::on_kept_connection() const noexcept {
  long made = 1;
  curl_easy_getinfo(easy_.get(), CURLINFO_NUM_CONNECTS, &made);
  return made == 0;
}

void CurlTransfer::header_line(std::string_view line) {
  if (head_delivered_) return;  // trailers
  line = detail::trim(line);
  if (line.starts_with("HTTP/")) {
    head_.headers.clear();
    return;
  }
  if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    head_.headers.emplace_back(detail::trim(line.substr(0, colon)), detail::trim(line.substr(colon + 1)));
    return;
  }
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status < 200) return;  // an interim answer
  if (status == 408 && on_kept_connection() && !again_) {
    again_ = true;
    return;
  }
  const std::string& proxy = connections_->options().proxy;
  if (status == 407 && !proxy.empty() && proxy != "none") {
    proxy_refused_ = true;
    return;
  }
  head_.status = static_cast<int>(status);
  head_.asked_again = restarted_;
  head_delivered_ = true;
  connections_->note_activity();
  receiver_->on_head(std::move(head_));
}

std::size_t CurlTransfer::receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  if (!transfer.receiver_->on_body({bytes, count})) return CURL_WRITEFUNC_PAUSE;
  transfer.connections_->note_activity();
  return count;
}

// libcurl sends a request again by itself when a connection that was kept dies before the answer: the server may have
// read it all the same. Only where no byte of it has left, as on a connection that was closed meanwhile, it may.
int CurlTransfer::before_request(void* self, char*, char*, int, int) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.its_turn();
  if (transfer.connected_) {
    long sent = 0;
    curl_easy_getinfo(transfer.easy_.get(), CURLINFO_REQUEST_SIZE, &sent);
    transfer.died_ = sent != 0;
    return transfer.died_ ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
  }
  transfer.connected_ = true;
  transfer.receiver_->on_connected();
  return CURL_PREREQFUNC_OK;
}

int CurlTransfer::before_lookup(void*, void*, void* self) noexcept {
  static_cast<CurlTransfer*>(self)->its_turn();
  return 0;
}

/// A program that the application starts meanwhile does not get the connections.
curl_socket_t CurlTransfer::open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.its_turn();
#ifdef SOCK_CLOEXEC
  const curl_socket_t socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  const curl_socket_t socket = ::socket(address->family, address->socktype, address->protocol);
#endif
  if (socket == CURL_SOCKET_BAD) return socket;
  try {
    transfer.connections_->sockets().insert(socket);
  } catch (const std::bad_alloc&) {  // then a process that is forked keeps it open
  }
  return socket;
}

/// It does not wait for a connection of others any more.
void CurlTransfer::its_turn() noexcept {
  if (std::exchange(waiting_, false)) receiver_->on_connecting();
}

// A server that closes a connection for its silence says 408 on it, which a request may cross: it was not read.
bool CurlTransfer::restart() noexcept {
  restarted_ = true;
  connected_ = false;
  header_bytes_ = 0;
  head_.headers.clear();
  try {
    detail::set_option(easy_.get(), CURLOPT_FRESH_CONNECT, 1L);
    connections_->add(*this);
  } catch (...) {
    return false;
  }
  active_ = true;
  return true;
}

void CurlTransfer::finish(CURLcode code) noexcept {
  connections_->remove(*this);
  active_ = false;
  if (again_ && !restarted_ && restart()) return;
  std::optional<Error> error;
  if (code != CURLE_OK || !head_delivered_) {
    try {
      error = error_of(code != CURLE_OK ? code : CURLE_GOT_NOTHING);
    } catch (...) {  // no memory for its words
      error = detail::out_of_memory();
    }
    error->replay = connected_ && !proxy_refused_ ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
  }
  receiver_->on_end(std::move(error));
}

Error CurlTransfer::error_of(CURLcode code) const {
  // What libcurl says of a proxy's address quotes it, with the password in it.
  const bool quotes = code == CURLE_COULDNT_RESOLVE_PROXY || curl_message_[0] == '\0';
  const std::string_view words = quotes ? std::string_view{curl_easy_strerror(code)} : std::string_view{curl_message_.data()};
  if (out_of_memory_ || code == CURLE_OUT_OF_MEMORY) return detail::out_of_memory();
  Error error;
  long proxy_status = proxy_refused_ ? 407 : 0;
  if (!proxy_refused_) curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  if (head_too_large_) {
    error.kind = ErrorKind::malformed_response;
    error.message = fmt::format("{} sent more than {} bytes of header fields", host_, header_limit);
  } else if (head_delivered_) {
    error.kind = ErrorKind::stream_interrupted;
    error.message = fmt::format("the connection to {} broke: {}", host_, words);
  } else if (proxy_status >= 300) {
    error.kind = ErrorKind::connect_failed;
    error.message = fmt::format("no connection to {}: the proxy answered {} (HttpOptions::proxy)", host_, proxy_status);
    error.replay = ReplaySafety::not_sent;
    return error;
  } else {
    error.kind = ErrorKind::connect_failed;
    error.message = died_ ? fmt::format("{} closed the connection without an answer", host_)
                    : connected_ ? fmt::format("{} closed the connection without an answer: {}", host_, words)
                                 : fmt::format("no connection to {}: {}{}", host_, words,
                                               detail::advice(code, connections_->options()));
  }
  if (is_configuration_fault(code)) error.should_retry = false;
  return error;
}

}  // namespace

std::unique_ptr<HttpTransport> curl_transport(const Clock& clock, HttpOptions options) {
  if (const std::string problem = problem_with(options); !problem.empty()) throw std::invalid_argument{problem};
  return std::make_unique<CurlTransport>(clock, std::move(options));
}

}  // namespace backstop::inline v0
