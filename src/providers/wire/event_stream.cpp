#include "event_stream.hpp"

#include <array>
#include <optional>

#include <zlib.h>

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t lengths_size = 8;
constexpr std::size_t prelude_size = lengths_size + 4;  // with their checksum
constexpr std::size_t frame_size = 16;  // of a message without headers and payload

[[nodiscard]] std::uint32_t number_at(std::string_view bytes, std::size_t at) noexcept {
  std::uint32_t number = 0;
  for (const char byte : bytes.substr(at, 4)) number = (number << 8U) | static_cast<unsigned char>(byte);
  return number;
}

/// Of these bytes behind those that have the checksum `before`.
[[nodiscard]] std::uint32_t checksum(std::string_view bytes, std::uint32_t before = 0) noexcept {
  return static_cast<std::uint32_t>(
      ::crc32(before, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

/// Takes that many bytes from the front; nothing where there are fewer.
[[nodiscard]] std::optional<std::string_view> take(std::string_view& bytes, std::size_t size) noexcept {
  if (bytes.size() < size) return std::nullopt;
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

/// A size of one or two bytes, and as many bytes as it says.
[[nodiscard]] std::optional<std::string_view> take_sized(std::string_view& bytes, std::size_t size_bytes) noexcept {
  const std::optional<std::string_view> written = take(bytes, size_bytes);
  if (!written) return std::nullopt;
  std::size_t size = 0;
  for (const char byte : *written) size = (size << 8U) | static_cast<unsigned char>(byte);
  return take(bytes, size);
}

constexpr unsigned char text_type = 7;

/// The value of a header of that type.
[[nodiscard]] std::optional<std::string_view> take_value(std::string_view& bytes, unsigned char type) noexcept {
  // true, false, i8, i16, i32, i64, bytes, string, timestamp, UUID
  constexpr std::array<std::size_t, 10> sizes{0, 0, 1, 2, 4, 8, 0, 0, 8, 16};
  if (type >= sizes.size()) return std::nullopt;
  if (type == 6 || type == text_type) return take_sized(bytes, 2);
  return take(bytes, sizes[type]);
}

}  // namespace

void EventStream::feed(std::string_view piece) {
  bytes_.erase(0, begin_);
  begin_ = 0;
  bytes_.append(piece);
}

bool EventStream::next(Message& message) {
  if (!fault_.empty() || (size_ == 0 && !read_prelude()) || bytes_.size() - begin_ < size_) return false;
  const std::string_view frame = std::string_view{bytes_}.substr(begin_, size_);
  const std::string_view behind_lengths = frame.substr(lengths_size, size_ - lengths_size - 4);
  if (checksum(behind_lengths, lengths_sum_) != number_at(frame, size_ - 4)) {
    return give_up("a message of the stream is damaged: its checksum is another");
  }
  message = {};
  if (!read_headers(frame.substr(prelude_size, headers_size_), message)) {
    return give_up("a message of the stream has headers that cannot be read");
  }
  message.payload = frame.substr(prelude_size + headers_size_, size_ - headers_size_ - frame_size);
  begin_ += size_;
  message.readable_behind = bytes_.size() - begin_ + 4;
  size_ = 0;
  return true;
}

bool EventStream::read_prelude() {
  const std::string_view bytes = std::string_view{bytes_}.substr(begin_);
  if (bytes.size() < prelude_size) return false;
  lengths_sum_ = checksum(bytes.substr(0, lengths_size));
  if (lengths_sum_ != number_at(bytes, lengths_size)) {
    return give_up("a message of the stream is damaged: the checksum of its lengths is another");
  }
  const std::size_t size = number_at(bytes, 0);
  headers_size_ = number_at(bytes, 4);
  if (headers_size_ > largest_headers) return give_up("a message of the stream has headers of more than 128 KiB");
  if (size < frame_size + headers_size_) return give_up("a message of the stream is shorter than its headers");
  if (size - frame_size - headers_size_ > largest_payload) {
    return give_up("a message of the stream is larger than 16 MiB");
  }
  size_ = size;
  return true;
}

bool EventStream::read_headers(std::string_view headers, Message& message) {
  while (!headers.empty()) {
    const std::optional<std::string_view> name = take_sized(headers, 1);
    const std::optional<std::string_view> type = take(headers, 1);
    if (!name || !type) return false;
    const auto number = static_cast<unsigned char>(type->front());
    const std::optional<std::string_view> value = take_value(headers, number);
    if (!value) return false;
    std::string_view* place = nullptr;
    if (*name == ":message-type") place = &message.kind;
    if (*name == ":event-type" || *name == ":exception-type" || *name == ":error-code") place = &message.name;
    if (*name == ":error-message") place = &message.words;
    if (place == nullptr) continue;
    if (number != text_type || !place->empty()) return false;  // said twice, it says nothing
    *place = *value;
  }
  return true;
}

bool EventStream::give_up(std::string_view fault) noexcept {
  fault_ = fault;
  return false;
}

}  // namespace backstop::inline v0::detail
