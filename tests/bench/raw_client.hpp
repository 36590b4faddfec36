#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bench {

enum class Decoder : std::uint8_t { simdjson, nlohmann };

/// What a careful programmer writes by hand against libcurl: a kept connection, the request built with nlohmann/json,
/// the answer decoded as it comes. No retries, no time limits, no fallback.
class RawClient {
 public:
  RawClient(std::string base_url, Decoder decoder);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// Asks, waits, and gives the size of the answer's text.
  std::size_t call(std::string_view prompt, bool stream);

  /// For many at a time: prepares the request on this client's handle and reads the answer after the transfer.
  CURL* prepare(std::string_view prompt, bool stream);
  std::size_t finish();
  [[nodiscard]] std::size_t events() const noexcept { return events_; }
  /// Is told of each piece of a stream's text.
  void on_text(std::function<void(std::string_view)> take) { on_text_ = std::move(take); }

 private:
  struct Parsers;

  static std::size_t receive(char* bytes, std::size_t, std::size_t count, void* self);
  void take_events();
  void take_event(std::string_view data);

  std::string url_;
  Decoder decoder_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
  std::unique_ptr<Parsers> parsers_;
  std::string request_;
  std::string body_;
  std::string text_;
  std::int64_t tokens_ = 0;
  std::size_t events_ = 0;
  std::function<void(std::string_view)> on_text_;
  bool stream_ = false;
};

}  // namespace bench
