#include <algorithm>

#include "fuzz/targets.hpp"
#include "providers/wire/content_coding.hpp"

namespace backstop::fuzz {
namespace {

constexpr std::size_t enough = std::size_t{1} << 20U;

std::string decode(std::string_view bytes, std::string_view label, const std::vector<std::size_t>& places,
                   std::string& fault) {
  std::string text;
  detail::ContentDecoder decoder{label};
  std::string_view plain;
  const auto take = [&] {
    while (text.size() < enough && decoder.next(plain)) {
      require(!plain.empty() && plain.size() <= std::max(bytes.size(), std::size_t{16} << 10U),
              "more is decoded at a time than is said");
      text.append(plain);
    }
  };
  in_pieces(bytes, places, [&](std::string_view piece) {
    if (piece.empty() || text.size() >= enough) return;
    decoder.feed(piece);
    take();
  });
  if (text.size() < enough) {
    decoder.feed({});
    take();
  }
  fault = decoder.fault();
  text.resize(std::min(text.size(), enough));
  return text;
}

}  // namespace

/// Compressed bodies: the same text and the same fault wherever the bytes are cut.
void compressed(std::string_view bytes) {
  Input input{bytes};
  const std::uint8_t seed = input.byte();
  constexpr std::string_view labels[] = {"", "gzip", "deflate", "br"};
  const std::string_view label = labels[seed / 8U % 4U];
  std::string whole_fault;
  std::string cut_fault;
  const std::string whole = decode(input.rest(), label, {}, whole_fault);
  const std::string cut = decode(input.rest(), label, cuts(input.rest().size(), seed), cut_fault);
  require(whole == cut, "the text depends on where the bytes are cut");
  require(whole.size() >= enough || whole_fault == cut_fault, "the fault depends on where the bytes are cut");
}

}  // namespace backstop::fuzz
