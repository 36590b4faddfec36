#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backstop::testing_support {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes += static_cast<char>((number >> shift) & 255U);
  return bytes;
}

inline std::uint32_t crc_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

/// A header of the type string.
inline std::string aws_header(std::string_view name, std::string_view value) {
  std::string bytes(1, static_cast<char>(name.size()));
  bytes += name;
  bytes += '\x07';
  bytes += static_cast<char>(value.size() >> 8U);
  bytes += static_cast<char>(value.size() & 255U);
  return bytes.append(value);
}

/// A message of AWS's binary framing; `headers` as bytes.
inline std::string aws_frame(std::string_view headers, std::string_view payload) {
  std::string bytes = big_endian(static_cast<std::uint32_t>(headers.size() + payload.size() + 16)) +
                      big_endian(static_cast<std::uint32_t>(headers.size()));
  bytes += big_endian(crc_of(bytes));
  bytes.append(headers).append(payload);
  return bytes + big_endian(crc_of(bytes));
}

inline std::string aws_message(std::string_view kind, std::string_view name, std::string_view payload) {
  const std::string type = kind == "event" ? ":event-type" : kind == "exception" ? ":exception-type" : ":error-code";
  return aws_frame(
      aws_header(type, name) + aws_header(":content-type", "application/json") + aws_header(":message-type", kind),
      payload);
}

inline std::string aws_event(std::string_view name, std::string_view payload) {
  return aws_message("event", name, payload);
}

inline std::string from_hex(std::string_view digits) {
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  std::string bytes;
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
    bytes += static_cast<char>(value(digits[at]) * 16 + value(digits[at + 1]));
  }
  return bytes;
}

}  // namespace backstop::testing_support
