#pragma once

#include <cstddef>
#include <string_view>

namespace backstop::inline v0::detail {

/// Finds the end of a JSON object that comes in pieces, without looking at a byte twice. Only brackets and strings are
/// read: whether a text that is closed is JSON, a parser decides.
class ObjectScan {
 public:
  void feed(std::string_view piece) noexcept {
    for (std::size_t at = 0; at < piece.size(); ++at) {
      at = past_words(piece, at);
      if (at == piece.size()) return;
      take(piece[at]);
    }
  }
  /// The same up to the object's last bracket; how many bytes that is, or all of them where it has not come.
  [[nodiscard]] std::size_t feed_to_end(std::string_view piece) noexcept {
    for (std::size_t at = 0; at < piece.size(); ++at) {
      at = past_words(piece, at);
      if (at == piece.size()) break;
      take(piece[at]);
      if (state_ == State::closed) return at + 1;
    }
    return piece.size();
  }
  /// The text is one object, its last bracket closed, with nothing but blanks around it.
  [[nodiscard]] bool closed() const noexcept { return state_ == State::closed; }
  /// An object has begun, and its last bracket has not come.
  [[nodiscard]] bool open() const noexcept {
    return state_ == State::inside || state_ == State::string || state_ == State::escape;
  }

 private:
  enum class State : unsigned char { before, inside, string, escape, closed, other };

  /// Most bytes are of a word, and change nothing.
  [[nodiscard]] std::size_t past_words(std::string_view piece, std::size_t at) const noexcept {
    if (state_ != State::string) return at;
    while (at < piece.size() && piece[at] != '"' && piece[at] != '\\') ++at;
    return at;
  }

  void take(char letter) noexcept {
    const bool blank = letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
    switch (state_) {
      case State::before:
        if (letter == '{') {
          state_ = State::inside;
          depth_ = 1;
        } else if (!blank) {
          state_ = State::other;
        }
        break;
      case State::inside:
        if (letter == '"') {
          state_ = State::string;
        } else if (letter == '{' || letter == '[') {
          ++depth_;
        } else if ((letter == '}' || letter == ']') && --depth_ == 0) {
          state_ = State::closed;
        }
        break;
      case State::string:
        if (letter == '"') state_ = State::inside;
        if (letter == '\\') state_ = State::escape;
        break;
      case State::escape: state_ = State::string; break;
      case State::closed:
        if (!blank) state_ = State::other;
        break;
      case State::other: break;
    }
  }

  State state_ = State::before;
  std::size_t depth_ = 0;
};

}  // namespace backstop::inline v0::detail
