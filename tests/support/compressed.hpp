#pragma once

#include <zlib.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace backstop::testing_support {

enum class Coding : std::uint8_t { gzip, zlib, raw_deflate };
enum class Ending : std::uint8_t {
  whole,
  flushed,  ///< all bytes are there, the end is not: as a stream that goes on
};

/// The text, compressed.
[[nodiscard]] inline std::string compressed(std::string_view text, Coding coding, Ending ending = Ending::whole) {
  z_stream stream{};
  const int form = coding == Coding::gzip ? 15 + 16 : coding == Coding::zlib ? 15 : -15;
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, form, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error{"zlib cannot be initialised"};
  }
  std::string result(deflateBound(&stream, static_cast<uLong>(text.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, ending == Ending::whole ? Z_FINISH : Z_SYNC_FLUSH);
  result.resize(result.size() - stream.avail_out);
  deflateEnd(&stream);
  return result;
}

}  // namespace backstop::testing_support
