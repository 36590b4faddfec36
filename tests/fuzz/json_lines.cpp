#include "providers/wire/json_lines.hpp"

#include "fuzz/targets.hpp"

namespace backstop::fuzz {
namespace {

std::string read_lines(std::string_view bytes, const std::vector<std::size_t>& places, std::size_t limit, bool& large) {
  std::string text;
  detail::JsonLines lines{limit};
  std::string_view document;
  const auto take = [&] {
    require(document.size() <= limit, "a document is larger than the limit");
    text.append(document).push_back('\x1e');
  };
  in_pieces(bytes, places, [&](std::string_view piece) {
    lines.feed(piece);
    while (lines.next(document)) take();
  });
  while (lines.finish(document)) take();
  large = lines.too_large();
  return text;
}

}  // namespace

/// Documents on lines of their own: the same ones wherever the bytes are cut, none of them larger than the limit.
void json_lines(std::string_view bytes) {
  Input input{bytes};
  const std::uint8_t seed = input.byte();
  const std::size_t limit = seed % 2U == 0 ? 64 : 1U << 20U;
  bool whole_large = false;
  bool cut_large = false;
  const std::string whole = read_lines(input.rest(), {}, limit, whole_large);
  const std::string cut = read_lines(input.rest(), cuts(input.rest().size(), seed), limit, cut_large);
  require(whole == cut, "the documents depend on where the bytes are cut");
  require(whole_large == cut_large, "whether the limit is exceeded depends on where the bytes are cut");
}

}  // namespace backstop::fuzz
