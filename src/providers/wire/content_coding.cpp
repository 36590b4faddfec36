#include "content_coding.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t telling = 5;  // bytes that tell text from what is compressed
constexpr std::size_t chunk = std::size_t{16} << 10;
constexpr char gzip_mark = '\x1F';  // RFC 1952; no text begins with it

// How `inflateInit2` is told what stands around the data.
constexpr int gzip = 15 + 16;
constexpr int zlib = 15;
constexpr int raw = -15;

// RFC 1950, section 2.2.
bool is_zlib_header(std::string_view bytes) noexcept {
  if (bytes.size() < 2) return false;
  const unsigned first = static_cast<unsigned char>(bytes[0]);
  const unsigned second = static_cast<unsigned char>(bytes[1]);
  return (first & 15U) == 8 && (first * 256 + second) % 31 == 0;
}

// JSON, events or a page.
bool begins_like_text(std::string_view bytes) noexcept {
  if (bytes.starts_with("\xEF\xBB\xBF")) return true;
  const auto is_written = [](char byte) {
    return (byte >= ' ' && byte <= '~') || byte == '\n' || byte == '\r' || byte == '\t';
  };
  bytes = bytes.substr(0, telling);
  if (!std::all_of(bytes.begin(), bytes.end(), is_written)) return false;
  for (const std::string_view beginning :
       {"{", "[", "\"", "<", ":", " ", "\n", "\r", "\t", "data:", "event", "error", "retry", "id:"}) {
    if (bytes.starts_with(beginning)) return true;
  }
  return false;
}

bool lists_coding(std::string_view label, std::string_view coding) noexcept {
  for (std::size_t at = 0; at + coding.size() <= label.size(); ++at) {
    if (equal_ignoring_case(label.substr(at, coding.size()), coding)) return true;
  }
  return false;
}

}  // namespace

struct ContentDecoder::Inflater {
  explicit Inflater(int form) : has_members{form == gzip} {
    if (inflateInit2(&stream, form) != Z_OK) throw std::bad_alloc{};
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
  bool has_members;
  bool ended = false;
  bool over = false;  ///< something else followed the end
  std::array<char, chunk> plain;
};

ContentDecoder::ContentDecoder(std::string_view label) : label_{trim(label)} {}
ContentDecoder::~ContentDecoder() = default;

void ContentDecoder::feed(std::string_view piece) {
  finished_ = piece.empty();
  piece_ = piece;
  if (form_ == Form::undecided) decide();
}

void ContentDecoder::decide() {
  if (held_.empty() && piece_.empty()) return;
  std::string_view beginning = piece_;
  if (!held_.empty()) {
    held_.append(piece_);
    beginning = held_;
  }
  if (label_.empty() && beginning.front() != gzip_mark) {
    form_ = Form::plain;
  } else if (beginning.size() < telling && !finished_) {
    if (held_.empty()) held_ = piece_;
    piece_ = {};
    return;
  } else {
    form_ = beginning.front() == gzip_mark || !begins_like_text(beginning) ? Form::compressed : Form::plain;
  }
  piece_ = beginning;
  if (form_ == Form::plain) return;
  if (beginning.front() == gzip_mark) {
    inflater_ = std::make_unique<Inflater>(gzip);
  } else if (lists_coding(label_, "deflate")) {
    inflater_ = std::make_unique<Inflater>(is_zlib_header(beginning) ? zlib : raw);
  } else if (lists_coding(label_, "br") || lists_coding(label_, "zstd") || lists_coding(label_, "compress")) {
    fault_ = "the body is compressed in a way that was not asked for";
  } else {
    form_ = Form::plain;
  }
}

bool ContentDecoder::next(std::string_view& plain) {
  if (!fault_.empty() || form_ == Form::undecided) return false;
  if (form_ == Form::compressed) return inflate_next(plain);
  plain = piece_;
  piece_ = {};
  return !plain.empty();
}

bool ContentDecoder::inflate_next(std::string_view& plain) {
  z_stream& stream = inflater_->stream;
  for (;;) {
    if (inflater_->ended) {
      // Members of gzip may follow one another; whatever else does is nothing, and so is all behind it.
      if (piece_.empty()) return false;
      inflater_->over = inflater_->over || !inflater_->has_members || piece_.front() != gzip_mark;
      if (inflater_->over || inflateReset(&stream) != Z_OK) return false;
      inflater_->ended = false;
    }
    const std::size_t taken = std::min<std::size_t>(piece_.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece_.data()));  // zlib does not write to it
    stream.avail_in = static_cast<uInt>(taken);
    stream.next_out = reinterpret_cast<Bytef*>(inflater_->plain.data());
    stream.avail_out = static_cast<uInt>(chunk);
    const int outcome = inflate(&stream, Z_SYNC_FLUSH);
    piece_.remove_prefix(taken - stream.avail_in);
    inflater_->ended = outcome == Z_STREAM_END;
    plain = std::string_view{inflater_->plain.data(), chunk - stream.avail_out};
    if (!plain.empty()) return true;
    if (outcome == Z_MEM_ERROR) throw std::bad_alloc{};
    if (outcome == Z_DATA_ERROR || outcome == Z_NEED_DICT || outcome == Z_STREAM_ERROR) {
      fault_ = "the compressed body is damaged";
      return false;
    }
    if (!inflater_->ended) return false;  // Z_BUF_ERROR: more is needed
  }
}

}  // namespace backstop::inline v0::detail
