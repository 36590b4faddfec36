#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "backstop/runtime/http_transport.hpp"
#include "runtime/curl_connections.hpp"
#include "runtime/curl_headers.hpp"

namespace backstop::inline v0::detail {

/// One request and its answer.
class CurlTransfer final : public HttpTransfer, private CurlConnections::Transfer {
 public:
  CurlTransfer(CurlConnections& connections, const HttpRequest& request, HttpReceiver& receiver);
  ~CurlTransfer() override;

  void resume() noexcept override { curl_easy_pause(easy(), CURLPAUSE_CONT); }
  void retire_connection() noexcept override;

  /// What is the same for all transfers of these connections.
  static void prepare(CURL* easy, const CurlConnections& connections);

 private:
  static std::size_t receive_header(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static std::size_t receive_body(char* bytes, std::size_t, std::size_t count, void* self) noexcept;
  static int before_request(void* self, char*, char*, int, int) noexcept;
  static int before_lookup(void*, void*, void* self) noexcept;
  static curl_socket_t open_socket(void* self, curlsocktype, curl_sockaddr* address) noexcept;

  void finish(CURLcode code) noexcept override;
  void begin();
  void header_line(std::string_view line);
  void its_turn() noexcept;
  [[nodiscard]] bool on_kept_connection() const noexcept;
  [[nodiscard]] bool restart() noexcept;
  [[nodiscard]] Error error_of(CURLcode code) const;

  HttpReceiver* receiver_;
  CurlHeaders headers_;
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
  std::string_view host_;   ///< of the origin
  std::array<char, CURL_ERROR_SIZE> curl_message_;
};

}  // namespace backstop::inline v0::detail
