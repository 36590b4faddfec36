#include "runtime/curl_transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "runtime/exception_error.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t header_limit = std::size_t{256} * 1024;

/// Failures that a repeat cannot mend: the address or the certificates are wrong.
constexpr bool is_configuration_fault(CURLcode code) noexcept {
  constexpr std::array faults{CURLE_URL_MALFORMAT,       CURLE_UNSUPPORTED_PROTOCOL, CURLE_PEER_FAILED_VERIFICATION,
                              CURLE_SSL_CACERT_BADFILE,  CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,
                              CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ISSUER_ERROR,     CURLE_SSL_PINNEDPUBKEYNOTMATCH,
                              CURLE_INTERFACE_FAILED};
  return std::find(faults.begin(), faults.end(), code) != faults.end();
}

}  // namespace

void CurlTransfer::prepare(CURL* easy, const CurlConnections& connections) {
  set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &CurlTransfer::open_socket);
  set_option(easy, CURLOPT_HEADERFUNCTION, &CurlTransfer::receive_header);
  set_option(easy, CURLOPT_WRITEFUNCTION, &CurlTransfer::receive_body);
  set_option(easy, CURLOPT_PREREQFUNCTION, &CurlTransfer::before_request);
  if (connections.are_limited()) set_option(easy, CURLOPT_RESOLVER_START_FUNCTION, &CurlTransfer::before_lookup);
}

CurlTransfer::CurlTransfer(CurlConnections& connections, const HttpRequest& request, HttpReceiver& receiver)
    : Transfer{connections}, receiver_{&receiver}, headers_{request.headers} {
  CURL* const easy = this->easy();
  curl_message_[0] = '\0';
  head_.headers.reserve(8);  // a stream holds them to its end
  set_option(easy, CURLOPT_URL, request.url.c_str());
  set_option(easy, CURLOPT_ERRORBUFFER, curl_message_.data());
  set_option(easy, CURLOPT_PRIVATE, static_cast<void*>(static_cast<Transfer*>(this)));
  set_option(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set_option(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set_option(easy, CURLOPT_PREREQDATA, static_cast<void*>(this));
  set_option(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set_option(easy, CURLOPT_PIPEWAIT, request.url.starts_with("https:") ? 1L : 0L);
  if (request.method == "POST") {
    set_option(easy, CURLOPT_POST, 1L);
    set_option(easy, CURLOPT_POSTFIELDS, request.body.data());
    set_option(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  } else {
    set_option(easy, CURLOPT_HTTPGET, 1L);
  }
  set_option(easy, CURLOPT_CUSTOMREQUEST,
      request.method == "POST" || request.method == "GET" ? nullptr : request.method.c_str());
  set_option(easy, CURLOPT_HTTPHEADER, headers_.list());

  const std::size_t scheme = request.url.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const auto end = std::find_if(request.url.begin() + static_cast<std::ptrdiff_t>(host), request.url.end(),
                                [](char c) { return c == '/' || c == '?' || c == '#'; });
  origin_.assign(request.url.begin(), end);
  if (const std::size_t at = origin_.rfind('@'); at != std::string::npos && at >= host) origin_.erase(host, at + 1 - host);
  host_ = std::string_view{origin_}.substr(host);
  set_option(easy, CURLOPT_FRESH_CONNECT, connections.is_suspected(origin_) ? 1L : 0L);
  if (connections.are_limited()) set_option(easy, CURLOPT_RESOLVER_START_DATA, static_cast<void*>(this));
  begin();
}

void CurlTransfer::begin() {
  waiting_ = connections().are_limited();
  if (waiting_) receiver_->on_waiting();
  connections().add(*this);
  active_ = true;
}

CurlTransfer::~CurlTransfer() {
  if (active_) connections().remove(*this);
  if (retired_ && connections().options().idle_connections != 0) curl_easy_setopt(easy(), CURLOPT_FORBID_REUSE, 0L);
}

void CurlTransfer::retire_connection() noexcept {
  if (!active_ || retired_) return;
  retired_ = true;
  curl_easy_setopt(easy(), CURLOPT_FORBID_REUSE, 1L);
  try {
    connections().suspect(*this);
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
  curl_easy_getinfo(easy(), CURLINFO_NUM_CONNECTS, &made);
  return made == 0;
}

void CurlTransfer::header_line(std::string_view line) {
  if (head_delivered_) return;  // trailers
  line = trim(line);
  if (line.starts_with("HTTP/")) {
    head_.headers.clear();
    return;
  }
  if (!line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    head_.headers.emplace_back(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
    return;
  }
  long status = 0;
  curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
  if (status < 200) return;  // an interim answer
  if (status == 408 && on_kept_connection() && !again_) {
    again_ = true;
    return;
  }
  const std::string& proxy = connections().options().proxy;
  if (status == 407 && !proxy.empty() && proxy != "none") {
    proxy_refused_ = true;
    return;
  }
  head_.status = static_cast<int>(status);
  head_.asked_again = restarted_;
  head_delivered_ = true;
  connections().note_activity();
  receiver_->on_head(std::move(head_));
}

std::size_t CurlTransfer::receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  if (!transfer.receiver_->on_body({bytes, count})) return CURL_WRITEFUNC_PAUSE;
  transfer.connections().note_activity();
  return count;
}

// libcurl sends a request again by itself when a connection that was kept dies before the answer: the server may have
// read it all the same. Only where no byte of it has left, as on a connection that was closed meanwhile, it may.
int CurlTransfer::before_request(void* self, char*, char*, int, int) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.its_turn();
  if (transfer.connected_) {
    long sent = 0;
    curl_easy_getinfo(transfer.easy(), CURLINFO_REQUEST_SIZE, &sent);
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

curl_socket_t CurlTransfer::open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  transfer.its_turn();
  return transfer.connections().open_socket(*address);
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
    set_option(easy(), CURLOPT_FRESH_CONNECT, 1L);
    begin();
    return true;
  } catch (...) {
    return false;
  }
}

void CurlTransfer::finish(CURLcode code) noexcept {
  active_ = false;
  if (again_ && !restarted_ && restart()) return;
  std::optional<Error> error;
  if (code != CURLE_OK || !head_delivered_) {
    try {
      error = error_of(code != CURLE_OK ? code : CURLE_GOT_NOTHING);
    } catch (...) {  // no memory for its words
      error = out_of_memory();
    }
    error->replay = connected_ && !proxy_refused_ ? ReplaySafety::maybe_processed : ReplaySafety::not_sent;
  }
  receiver_->on_end(std::move(error));
}

Error CurlTransfer::error_of(CURLcode code) const {
  if (out_of_memory_ || code == CURLE_OUT_OF_MEMORY) return out_of_memory();
  // What libcurl says of a proxy's address quotes it, with the password in it.
  const bool quotes = code == CURLE_COULDNT_RESOLVE_PROXY || curl_message_[0] == '\0';
  const char* const words = quotes ? curl_easy_strerror(code) : curl_message_.data();
  long proxy_status = 407;
  if (!proxy_refused_) curl_easy_getinfo(easy(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  Error error;
  error.kind = head_too_large_   ? ErrorKind::malformed_response
               : head_delivered_ ? ErrorKind::stream_interrupted
                                 : ErrorKind::connect_failed;
  if (head_too_large_) {
    error.message = fmt::format("{} sent more than {} bytes of header fields", host_, header_limit);
  } else if (head_delivered_) {
    error.message = fmt::format("the connection to {} broke: {}", host_, words);
  } else if (proxy_status >= 300) {
    error.message = fmt::format("no connection to {}: the proxy answered {} (HttpOptions::proxy)", host_, proxy_status);
  } else if (died_) {
    error.message = fmt::format("{} closed the connection without an answer", host_);
  } else if (connected_) {
    error.message = fmt::format("{} closed the connection without an answer: {}", host_, words);
  } else {
    error.message = fmt::format("no connection to {}: {}{}", host_, words, advice(code, connections().options()));
  }
  if (is_configuration_fault(code)) error.should_retry = false;
  return error;
}

}  // namespace backstop::inline v0::detail
