#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/http_transport.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::size_t header_limit = std::size_t{256} * 1024;
constexpr std::size_t pooled_handles = 128;

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

/// Failures that a repeat cannot mend: the address or the certificates are wrong.
constexpr bool is_configuration_fault(CURLcode code) noexcept {
  constexpr std::array faults{CURLE_URL_MALFORMAT,       CURLE_UNSUPPORTED_PROTOCOL, CURLE_PEER_FAILED_VERIFICATION,
                              CURLE_SSL_CACERT_BADFILE,  CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,
                              CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ISSUER_ERROR,     CURLE_SSL_PINNEDPUBKEYNOTMATCH};
  return std::find(faults.begin(), faults.end(), code) != faults.end();
}

class CurlTransport;

class CurlTransfer final : public HttpTransfer {
 public:
  CurlTransfer(CurlTransport& transport, const HttpRequest& request, HttpReceiver& receiver);
  ~CurlTransfer() override;

  void resume() noexcept override { curl_easy_pause(easy_.get(), CURLPAUSE_CONT); }

  /// libcurl is done with it; called from outside libcurl.
  void finish(CURLcode code) noexcept;
  [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }

 private:
  friend void prepare_easy(CURL* easy, CURLSH* share);
  static std::size_t receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static std::size_t receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static int before_request(void* self, char*, char*, int, int) noexcept;

  void header_line(std::string_view line);
  [[nodiscard]] Error error_of(CURLcode code) const;

  CurlTransport* transport_;
  HttpReceiver* receiver_;
  Easy easy_;
  HeaderList headers_;
  HttpResponseHead head_;
  std::size_t header_bytes_ = 0;
  bool connected_ = false;
  bool died_ = false;  ///< the connection, with the request on it and no answer
  bool head_delivered_ = false;
  bool head_too_large_ = false;
  bool active_ = false;
  std::string host_;
  std::array<char, CURL_ERROR_SIZE> curl_message_;
};

/// What is the same for all transfers, set once per handle: setting it costs as much as decoding a short answer.
void prepare_easy(CURL* easy, CURLSH* share) {
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_PROXY, "");  // the environment is not read
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_SHARE, share);
  set(easy, CURLOPT_HEADERFUNCTION, &CurlTransfer::receive_header);
  set(easy, CURLOPT_WRITEFUNCTION, &CurlTransfer::receive_body);
  set(easy, CURLOPT_PREREQFUNCTION, &CurlTransfer::before_request);
}

class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(const Clock& clock) : clock_{&clock} {
    static std::once_flag once;
    std::call_once(once, [] {
      if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) throw std::runtime_error{"libcurl cannot be initialised"};
    });
    multi_ = curl_multi_init();
    share_ = curl_share_init();
    if (multi_ == nullptr || share_ == nullptr) throw std::bad_alloc{};
    // Everything runs on one thread at a time, so that the share needs no locks.
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
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
    if (perform()) return;
    const int milliseconds = wait_time(until);
    if (milliseconds == 0) return;
    curl_multi_poll(multi_, nullptr, 0, milliseconds, nullptr);
    if (running_ != 0) perform();
  }

  void wake() noexcept override { curl_multi_wakeup(multi_); }

  void add(CurlTransfer& transfer) {
    if (const CURLMcode code = curl_multi_add_handle(multi_, transfer.easy()); code != CURLM_OK) {
      throw std::runtime_error{fmt::format("libcurl refuses a transfer: {}", curl_multi_strerror(code))};
    }
    ++running_;
  }
  void remove(CurlTransfer& transfer) noexcept {
    curl_multi_remove_handle(multi_, transfer.easy());
    if (running_ > 0) --running_;
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
    prepare_easy(easy.get(), share_);
    return easy;
  }
  void give_back(Easy easy) noexcept {
    if (pool_.size() >= pooled_handles) return;
    curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, nullptr);  // it was the transfer's
    pool_.push_back(std::move(easy));
  }
  void note_activity() noexcept { active_ = true; }

 private:
  /// True when something was delivered, so that there is work to be done instead of waiting.
  bool perform() {
    active_ = false;
    if (running_ == 0) return false;
    int running = 0;
    curl_multi_perform(multi_, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      void* transfer = nullptr;
      const CURLcode code = message->data.result;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      static_cast<CurlTransfer*>(transfer)->finish(code);
      active_ = true;
    }
    return active_;
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
  CURLM* multi_ = nullptr;
  CURLSH* share_ = nullptr;
  std::vector<Easy> pool_;
  int running_ = 0;
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
  const auto append = [this](const char* line) {
    curl_slist* list = curl_slist_append(headers_.get(), line);
    if (list == nullptr) throw std::bad_alloc{};
    static_cast<void>(headers_.release());
    headers_.reset(list);
  };
  append("Expect:");  // no round trip before a large body
  std::string line;
  for (const auto& [name, value] : request.headers) {
    line.assign(name).append(value.empty() ? ";" : ": ").append(value);
    append(line.c_str());
  }
  set(easy, CURLOPT_HTTPHEADER, headers_.get());

  const std::size_t scheme = request.url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  host_ = request.url.substr(host, request.url.find_first_of("/?#", host) - host);
  if (const std::size_t at = host_.rfind('@'); at != std::string::npos) host_.erase(0, at + 1);
  transport.add(*this);
  active_ = true;
}

CurlTransfer::~CurlTransfer() {
  if (active_) transport_->remove(*this);
  transport_->give_back(std::move(easy_));
}

std::size_t CurlTransfer::receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.header_bytes_ += count;
  if (transfer.header_bytes_ > header_limit) {
    transfer.head_too_large_ = true;
    return 0;
  }
  transfer.header_line({bytes, count});
  return count;
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

void CurlTransfer::finish(CURLcode code) noexcept {
  transport_->remove(*this);
  active_ = false;
  std::optional<Error> error;
  if (code != CURLE_OK) error = error_of(code);
  receiver_->on_end(std::move(error));
}

Error CurlTransfer::error_of(CURLcode code) const {
  const std::string_view detail = curl_message_[0] != '\0' ? std::string_view{curl_message_.data()}
                                                           : std::string_view{curl_easy_strerror(code)};
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
                               : fmt::format("no connection to {}: {}", host_, detail);
  }
  error.replay = connected_ ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
  if (is_configuration_fault(code)) error.should_retry = false;
  return error;
}

}  // namespace

std::unique_ptr<HttpTransport> curl_transport(const Clock& clock) { return std::make_unique<CurlTransport>(clock); }

}  // namespace backstop::inline v0
