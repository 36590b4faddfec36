#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/target.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "backstop/runtime/runtime.hpp"
#include "backstop/runtime/wire_log.hpp"
#include "providers/failure/secrets.hpp"

namespace backstop::inline v0::detail {

/// Tells a wire log of one exchange: of the request when it is made, of what came of it when it ends. An answer's body
/// is told as a whole, since a key that came in two pieces would not be found in either.
class WireTrace {
 public:
  WireTrace(Runtime& runtime, const WireLog& log, const Target& target, const HttpRequest& request, Secrets secrets);
  ~WireTrace();
  WireTrace(const WireTrace&) = delete;
  WireTrace& operator=(const WireTrace&) = delete;

  void note_head(const HttpResponseHead& head);
  /// More of the answer's body, decoded.
  void add(std::string_view bytes);

 private:
  void write(const HttpRequest& request) noexcept;
  void write_response() noexcept;
  [[nodiscard]] std::vector<Header> masked(const std::vector<Header>& headers) const;
  [[nodiscard]] std::string masked(std::string_view text) const;

  Runtime* runtime_;
  const WireLog* log_;
  Target target_;
  Secrets secrets_;
  std::uint64_t number_;
  TimePoint begun_;
  std::string method_;
  std::string url_;
  HttpResponseHead head_;
  std::string body_;
  std::size_t body_size_ = 0;
};

}  // namespace backstop::inline v0::detail
