#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// Splits a byte stream into the messages of AWS's binary framing (`application/vnd.amazon.eventstream`), wherever the
/// bytes were cut: `feed` a piece, then call `next` until it yields nothing.
///
/// A message is, big-endian: its length, the length of its headers, a CRC-32 of these two; headers; the payload; a
/// CRC-32 of all before it. Both sums are checked, the first before the lengths are believed.
///
/// Source: Smithy 2.0, "Amazon Event Stream Specification".
/// Cost: linear in the bytes; what is kept is the message that is not whole yet.
class EventStream {
 public:
  struct Message {
    std::string_view kind;   ///< `:message-type`: event, exception or error
    std::string_view name;   ///< `:event-type`, `:exception-type` or `:error-code`
    std::string_view words;  ///< `:error-message`
    std::string_view payload;
    std::size_t readable_behind = 0;  ///< how many bytes after the payload may be read, if not used
  };

  static constexpr std::size_t largest_payload = std::size_t{16} << 20;
  static constexpr std::size_t largest_headers = std::size_t{128} << 10;

  void feed(std::string_view piece);
  /// The next message that is whole; it lives until the next call of anything here.
  [[nodiscard]] bool next(Message& message);
  /// Why nothing more can be read; empty where it can.
  [[nodiscard]] std::string_view fault() const noexcept { return fault_; }

 private:
  [[nodiscard]] bool read_prelude();
  [[nodiscard]] bool read_headers(std::string_view headers, Message& message);
  [[nodiscard]] bool give_up(std::string_view fault) noexcept;

  std::string bytes_;
  std::size_t begin_ = 0;  ///< of the message that is being read
  std::size_t size_ = 0;   ///< of it; 0: its prelude has not been read
  std::size_t headers_size_ = 0;
  std::uint32_t lengths_sum_ = 0;
  std::string_view fault_;
};

}  // namespace backstop::inline v0::detail
