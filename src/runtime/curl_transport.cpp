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
#include "runtime/exception_error.hpp"
#include "runtime/http_options.hpp"
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
struct ListCloser {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListCloser>;

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
  if (const CURLcode code = curl_easy_setopt(easy, option, value); code != CURLE_OK) {
    if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc{};
    throw std::runtime_error{fmt::format("libcurl refuses an option: {}", curl_easy_strerror(code))};
  }
}

void append(HeaderList& list, const char* line) {
  curl_slist* longer = curl_slist_append(list.get(), line);
  if (longer == nullptr) throw std::bad_alloc{};
  static_cast<void>(list.release());
  list.reset(longer);
}

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

class CurlTransport;

class CurlTransfer final : public HttpTransfer {
 public:
  CurlTransfer(CurlTransport& transport, const HttpRequest& request, HttpReceiver& receiver);
  ~CurlTransfer() override;

  void resume() noexcept override { curl_easy_pause(easy_.get(), CURLPAUSE_CONT); }
  void retire_connection() noexcept override;

  /// libcurl is done with it; called from outside libcurl.
  void finish(CURLcode code) noexcept;
  [[nodiscard]] const std::string& origin() const noexcept { return origin_; }
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }

 private:
  friend class CurlTransport;
  friend void prepare_easy(CURL* easy, CURLSH* share, Sockets& sockets);
  static std::size_t receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static std::size_t receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static int before_request(void* self, char*, char*, int, int) noexcept;

  void header_line(std::string_view line);
  [[nodiscard]] bool on_kept_connection() const noexcept;
  [[nodiscard]] bool restart() noexcept;
  [[nodiscard]] Error error_of(CURLcode code) const;
  [[nodiscard]] std::string advice(CURLcode code) const;

  CurlTransport* transport_;
  CurlTransfer* before_ = nullptr;  // in the transport's list
  CurlTransfer* after_ = nullptr;
  std::uint64_t number_ = 0;
  HttpReceiver* receiver_;
  std::unique_ptr<const HttpOptions> own_options_;  // where the target has some
  HeaderList resolve_;
  HeaderList headers_;
  Easy easy_;
  HttpResponseHead head_;
  std::size_t header_bytes_ = 0;
  bool connected_ = false;
  bool died_ = false;  ///< the connection, with the request on it and no answer
  bool head_delivered_ = false;
  bool head_too_large_ = false;
  bool out_of_memory_ = false;
  bool active_ = false;
  bool retired_ = false;   ///< its connection must not be used again
  bool again_ = false;      ///< the server had given up the kept connection, and says so with 408
  bool restarted_ = false;  ///< because of that, on a fresh one
  std::string origin_;     ///< scheme, host and port
  std::string_view host_;  ///< of it
  std::array<char, CURL_ERROR_SIZE> curl_message_;
};

/// A program that the application starts meanwhile does not get the connections.
curl_socket_t open_socket(void* sockets, curlsocktype, curl_sockaddr* address) noexcept {
#ifdef SOCK_CLOEXEC
  const curl_socket_t socket = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  const curl_socket_t socket = ::socket(address->family, address->socktype, address->protocol);
#endif
  if (socket == CURL_SOCKET_BAD) return socket;
  try {
    static_cast<Sockets*>(sockets)->insert(socket);
  } catch (const std::bad_alloc&) {  // then a process that is forked keeps it open
  }
  return socket;
}

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

/// The runtime's options with those that the target has in their place.
[[nodiscard]] HttpOptions merged(HttpOptions options, const HttpOptions& target) {
  for (std::string HttpOptions::*const text :
       {&HttpOptions::proxy, &HttpOptions::no_proxy, &HttpOptions::ca_file, &HttpOptions::ca_folder,
        &HttpOptions::client_certificate, &HttpOptions::client_key, &HttpOptions::unix_socket,
        &HttpOptions::local_interface, &HttpOptions::user_agent}) {
    if (!(target.*text).empty()) options.*text = target.*text;
  }
  options.least_tls = std::max(options.least_tls, target.least_tls);
  if (!target.resolve.empty()) options.resolve = target.resolve;
  if (target.version != HttpVersion::automatic) options.version = target.version;
  return options;
}

/// As libcurl has them. Its own list of addresses is shared by all transfers: this one is a transfer's own.
[[nodiscard]] HeaderList list_of(const std::vector<std::string>& resolutions) {
  HeaderList list;
  for (const std::string& line : resolutions) {
    const std::optional<detail::Resolution> one = detail::read_resolution(line);
    if (!one) continue;
    const bool is_ipv6 = one->address.find(':') != std::string_view::npos;
    append(list, fmt::format("{}:{}:{}{}{}:{}", one->host, one->port, is_ipv6 ? "[" : "", one->address,
                             is_ipv6 ? "]" : "", one->address_port)
                     .c_str());
  }
  return list;
}

/// `resolve` is the list of the options' own, and outlives the handle's transfers.
void apply(CURL* easy, const HttpOptions& options, curl_slist* resolve) {
  const auto set_text = [easy](CURLoption option, const std::string& text) {
    if (!text.empty()) set(easy, option, text.c_str());
  };
  if (options.proxy.empty() || options.proxy == "none") {
    set(easy, CURLOPT_PROXY, "");  // the environment is not read
  } else if (options.proxy != "environment") {
    set(easy, CURLOPT_PROXY, options.proxy.c_str());
    set(easy, CURLOPT_NOPROXY, options.no_proxy.c_str());
  } else {
    set_text(CURLOPT_NOPROXY, options.no_proxy);
  }
  set_text(CURLOPT_CAINFO, options.ca_file);
  set_text(CURLOPT_CAPATH, options.ca_folder);
  set_text(CURLOPT_SSLCERT, options.client_certificate);
  set_text(CURLOPT_SSLKEY, options.client_key.empty() ? options.client_certificate : options.client_key);
  set_text(CURLOPT_UNIX_SOCKET_PATH, options.unix_socket);
  set_text(CURLOPT_INTERFACE, options.local_interface);
  set_text(CURLOPT_USERAGENT, options.user_agent);
  if (resolve != nullptr) set(easy, CURLOPT_CONNECT_TO, resolve);
  set(easy, CURLOPT_SSLVERSION,
      static_cast<long>(options.least_tls == TlsVersion::v1_3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2));
  constexpr long versions[] = {CURL_HTTP_VERSION_2TLS, CURL_HTTP_VERSION_1_1, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE};
  set(easy, CURLOPT_HTTP_VERSION, versions[static_cast<std::size_t>(options.version)]);
}

/// What is the same for all transfers, set once per handle: setting it costs as much as decoding a short answer.
void prepare_easy(CURL* easy, CURLSH* share, Sockets& sockets) {
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // a look-up that is given up is not waited for
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  set(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(&sockets));
  set(easy, CURLOPT_CLOSESOCKETFUNCTION, &close_socket);
  set(easy, CURLOPT_CLOSESOCKETDATA, static_cast<void*>(&sockets));
  set(easy, CURLOPT_SOCKOPTFUNCTION, &prepare_socket);
  set(easy, CURLOPT_MAXLIFETIME_CONN, longest_connection);
  set(easy, CURLOPT_SHARE, share);
  set(easy, CURLOPT_HEADERFUNCTION, &CurlTransfer::receive_header);
  set(easy, CURLOPT_WRITEFUNCTION, &CurlTransfer::receive_body);
  set(easy, CURLOPT_PREREQFUNCTION, &CurlTransfer::before_request);
}

class CurlTransport final : public HttpTransport {
 public:
  CurlTransport(const Clock& clock, HttpOptions options)
      : clock_{&clock}, options_{std::move(options)}, resolve_{list_of(options_.resolve)} {
    static std::once_flag once;
    std::call_once(once, [] {
      if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl cannot be initialised"};
    });
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
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlTransport::watch_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlTransport::set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, static_cast<void*>(this));
  }
  ~CurlTransport() override {
    pool_.clear();
    curl_multi_cleanup(multi_);
    curl_share_cleanup(share_);
  }
  CurlTransport(const CurlTransport&) = delete;
  CurlTransport& operator=(const CurlTransport&) = delete;

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override {
    return std::make_unique<CurlTransfer>(*this, request, receiver);
  }

  void wait(TimePoint until) override {
    active_ = false;
    run_timer();
    finish_transfers();  // what has ended there is not waited for
    if (const int milliseconds = active_ ? 0 : wait_time(std::min(until, due_)); first_ != nullptr || milliseconds != 0) {
      for (const detail::SocketPoller::Ready& ready : poller_.wait(milliseconds)) {
        act(ready.socket, (ready.readable ? CURL_CSELECT_IN : 0) | (ready.writable ? CURL_CSELECT_OUT : 0) |
                              (ready.failed ? CURL_CSELECT_ERR : 0));
      }
      run_timer();
    }
    finish_transfers();
  }

  void wake() noexcept override { poller_.wake(); }
  int poll_fd() const noexcept override { return poller_.descriptor(); }
  TimePoint next_due() const noexcept override { return due_; }

  // libcurl would say goodbye on the parent's connections: they are closed behind its back.
  std::unique_ptr<HttpTransport> leave_parent() override {
    for (const curl_socket_t socket : sockets_) ::close(socket);
    poller_.close();
    return std::make_unique<CurlTransport>(*clock_, options_);
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
    prepare_easy(easy.get(), share_, sockets_);
    apply(easy.get(), options_, resolve_.get());
    return easy;
  }
  [[nodiscard]] const HttpOptions& options() const noexcept { return options_; }
  void give_back(Easy easy) noexcept {
    if (pool_.size() >= pooled_handles) return;
    curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, nullptr);  // it was the transfer's
    pool_.push_back(std::move(easy));
  }
  void note_activity() noexcept { active_ = true; }

 private:
  static int watch_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept {
    static_cast<CurlTransport*>(self)->poller_.watch(socket, what == CURL_POLL_IN || what == CURL_POLL_INOUT,
                                                     what == CURL_POLL_OUT || what == CURL_POLL_INOUT);
    return 0;
  }
  static int set_timer(CURLM*, long milliseconds, void* self) noexcept {
    auto& transport = *static_cast<CurlTransport*>(self);
    transport.due_ = milliseconds < 0    ? TimePoint::max()
                     : milliseconds == 0 ? TimePoint::min()
                                         : transport.clock_->now() + std::chrono::milliseconds{milliseconds};
    return 0;
  }

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
      void* transfer = nullptr;
      const CURLcode code = message->data.result;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      static_cast<CurlTransfer*>(transfer)->finish(code);
    }
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
  const HttpOptions options_;
  HeaderList resolve_;
  Sockets sockets_;
  detail::SocketPoller poller_;
  TimePoint due_ = TimePoint::max();  // libcurl's timer
  CURLM* multi_ = nullptr;
  CURLSH* share_ = nullptr;
  std::vector<Easy> pool_;
  CurlTransfer* first_ = nullptr;  // of those that run
  std::uint64_t added_ = 0;
  struct Suspicion {
    std::uint64_t last;    // the latest transfer that may be on a silent connection
    std::size_t running;  // how many of those there are
  };
  std::unordered_map<std::string, Suspicion> suspected_;  // by origin
  bool active_ = false;
};

CurlTransfer::CurlTransfer(CurlTransport& transport, const HttpRequest& request, HttpReceiver& receiver)
    : transport_{&transport}, receiver_{&receiver}, easy_{transport.take_easy()} {
  CURL* easy = easy_.get();
  curl_message_[0] = '\0';
  head_.headers.reserve(16);
  set(easy, CURLOPT_URL, request.url.c_str());
  set(easy, CURLOPT_ERRORBUFFER, curl_message_.data());
  set(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(easy, CURLOPT_PREREQDATA, static_cast<void*>(this));
  set(easy, CURLOPT_PIPEWAIT, request.url.starts_with("https:") ? 1L : 0L);
  if (request.method == "POST") {
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDS, request.body.data());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else {
    set(easy, CURLOPT_HTTPGET, 1L);
  }
  set(easy, CURLOPT_CUSTOMREQUEST,
      request.method == "POST" || request.method == "GET" ? nullptr : request.method.c_str());
  append(headers_, "Expect:");  // no round trip before a large body
  std::string line;
  for (const auto& [name, value] : request.headers) {
    line.assign(name).append(value.empty() ? ";" : ": ").append(value);
    append(headers_, line.c_str());
  }
  set(easy, CURLOPT_HTTPHEADER, headers_.get());

  const std::size_t scheme = request.url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  origin_ = request.url.substr(0, request.url.find_first_of("/?#", host));
  if (const std::size_t at = origin_.rfind('@'); at != std::string::npos && at >= host) origin_.erase(host, at + 1 - host);
  host_ = std::string_view{origin_}.substr(host);
  set(easy, CURLOPT_FRESH_CONNECT, transport.is_suspected(origin_) ? 1L : 0L);
  if (request.options != nullptr) {
    own_options_ = std::make_unique<const HttpOptions>(merged(transport.options(), *request.options));
    resolve_ = list_of(own_options_->resolve);
    apply(easy, *own_options_, resolve_.get());
  }
  transport.add(*this);
  active_ = true;
}

CurlTransfer::~CurlTransfer() {
  if (active_) transport_->remove(*this);
  if (own_options_) return;  // the handle has another target's settings
  if (retired_) curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 0L);
  transport_->give_back(std::move(easy_));
}

void CurlTransfer::retire_connection() noexcept {
  if (!active_ || retired_) return;
  retired_ = true;
  curl_easy_setopt(easy_.get(), CURLOPT_FORBID_REUSE, 1L);
  try {
    transport_->suspect(*this);
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
  return transfer.again_ && !transfer.restarted_ ? 0 : count;
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
  head_.status = static_cast<int>(status);
  head_delivered_ = true;
  transport_->note_activity();
  receiver_->on_head(std::move(head_));
}

std::size_t CurlTransfer::receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  if (!transfer.receiver_->on_body({bytes, count})) return CURL_WRITEFUNC_PAUSE;
  transfer.transport_->note_activity();
  return count;
}

// libcurl sends a request again by itself when a connection that was kept dies before the answer: the server may have
// read it all the same. Only where no byte of it has left, as on a connection that was closed meanwhile, it may.
int CurlTransfer::before_request(void* self, char*, char*, int, int) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
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

// A server that closes a connection for its silence says 408 on it, which a request may cross: it was not read.
bool CurlTransfer::restart() noexcept {
  restarted_ = true;
  connected_ = false;
  header_bytes_ = 0;
  head_.headers.clear();
  try {
    set(easy_.get(), CURLOPT_FRESH_CONNECT, 1L);
    transport_->add(*this);
  } catch (...) {
    return false;
  }
  active_ = true;
  return true;
}

void CurlTransfer::finish(CURLcode code) noexcept {
  transport_->remove(*this);
  transport_->note_activity();
  active_ = false;
  if (again_ && !restarted_ && restart()) return;
  std::optional<Error> error;
  if (code != CURLE_OK) {
    try {
      error = error_of(code);
    } catch (...) {  // no memory for its words
      error = detail::out_of_memory();
    }
    error->replay = connected_ ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
  }
  receiver_->on_end(std::move(error));
}

/// Which setting a failure to connect is about, and what it should be.
std::string CurlTransfer::advice(CURLcode code) const {
  const HttpOptions& options = own_options_ ? *own_options_ : transport_->options();
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "; its name has no address, here or in HttpOptions::resolve";
    case CURLE_COULDNT_RESOLVE_PROXY: return "; the name in HttpOptions::proxy has no address";
    case CURLE_SSL_CACERT_BADFILE: return "; HttpOptions::ca_file must be a file of certificates in PEM";
    case CURLE_SSL_CERTPROBLEM:
      return "; HttpOptions::client_certificate must be a PEM file, with its key there or in client_key";
    case CURLE_PEER_FAILED_VERIFICATION: return "; a private authority's certificate goes into HttpOptions::ca_file";
    case CURLE_SSL_CONNECT_ERROR:
      return fmt::format("; TLS {} or newer is needed (HttpOptions::least_tls)",
                         options.least_tls == TlsVersion::v1_3 ? "1.3" : "1.2");
    case CURLE_INTERFACE_FAILED: return "; HttpOptions::local_interface must be an interface or address of this machine";
    case CURLE_COULDNT_CONNECT:
      if (!options.unix_socket.empty()) return "; HttpOptions::unix_socket must be the path of a listening socket";
      break;
    default: break;
  }
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_HTTP_CONNECTCODE, &status);
  if (status >= 300) return fmt::format("; the proxy answered {} (HttpOptions::proxy)", status);
  return {};
}

Error CurlTransfer::error_of(CURLcode code) const {
  const std::string_view detail = curl_message_[0] != '\0' ? std::string_view{curl_message_.data()}
                                                           : std::string_view{curl_easy_strerror(code)};
  if (out_of_memory_ || code == CURLE_OUT_OF_MEMORY) return detail::out_of_memory();
  Error error;
  if (head_too_large_) {
    error.kind = ErrorKind::malformed_response;
    error.message = fmt::format("{} sent more than {} bytes of header fields", host_, header_limit);
  } else if (head_delivered_) {
    error.kind = ErrorKind::stream_interrupted;
    error.message = fmt::format("the connection to {} broke: {}", host_, detail);
  } else {
    error.kind = ErrorKind::connect_failed;
    error.message = died_ ? fmt::format("{} closed the connection without an answer", host_)
                    : connected_ ? fmt::format("{} closed the connection without an answer: {}", host_, detail)
                               : fmt::format("no connection to {}: {}{}", host_, detail, advice(code));
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
