#pragma once

#include <cstddef>
#include <string>

namespace backstop::inline v0::detail {

/// How much is kept of texts whose length others decide on, in bytes.
inline constexpr std::size_t longest_told = 500;

/// At most so many bytes of the text, cut between two characters of UTF-8.
[[nodiscard]] inline std::string bounded(std::string text, std::size_t most = longest_told) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
  text.resize(most);
  return text;
}

}  // namespace backstop::inline v0::detail
