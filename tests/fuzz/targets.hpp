#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace backstop::fuzz {

/// A parser of foreign bytes and what must hold of it. `run` throws std::logic_error where it does not.
struct FuzzTarget {
  std::string_view name;  ///< of its folder in `corpus/`, its dictionary and its program
  void (*run)(std::string_view bytes);
};

[[nodiscard]] std::span<const FuzzTarget> targets() noexcept;

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error{what};
}

/// What the beginning of the input decides; the rest is for the parser.
class Input {
 public:
  explicit Input(std::string_view bytes) noexcept : rest_{bytes} {}

  [[nodiscard]] std::uint8_t byte() noexcept {
    if (rest_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
};

/// Where a body is cut, ascending, by a seed: from a byte at a time to a few large pieces.
[[nodiscard]] inline std::vector<std::size_t> cuts(std::size_t size, std::uint8_t seed) {
  std::vector<std::size_t> places;
  const std::size_t longest = std::size_t{1} << (seed % 8U);
  std::uint32_t state = seed + 1U;
  for (std::size_t at = 0; at < size;) {
    state = state * 1664525U + 1013904223U;
    at += 1 + (state >> 16U) % longest;
    if (at < size) places.push_back(at);
  }
  return places;
}

/// Calls `feed` with each piece, in memory of exactly its size, so that a reader that looks beyond it is found out.
template <class Feed>
void in_pieces(std::string_view bytes, const std::vector<std::size_t>& places, const Feed& feed) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= places.size(); ++i) {
    const std::size_t end = i < places.size() ? places[i] : bytes.size();
    const std::vector<char> piece(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                  bytes.begin() + static_cast<std::ptrdiff_t>(end));
    feed(std::string_view{piece.data(), piece.size()});
    begin = end;
  }
}

// Each stands in the file of its name.
void answers(std::string_view bytes);
void aws_messages(std::string_view bytes);
void catalog(std::string_view bytes);
void compressed(std::string_view bytes);
void failures(std::string_view bytes);
void json_documents(std::string_view bytes);
void json_lines(std::string_view bytes);
void policy_file(std::string_view bytes);
void request_json(std::string_view bytes);
void sse(std::string_view bytes);
void texts(std::string_view bytes);

}  // namespace backstop::fuzz
