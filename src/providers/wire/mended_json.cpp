#include "mended_json.hpp"

#include <algorithm>
#include <utility>

#include "foreign_text.hpp"
#include "json_writer.hpp"
#include "text/ascii.hpp"
#include "text/bare_words.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view blanks = " \t\r\n";
constexpr std::string_view ends_of_words = " \t\r\n,:\"{}[]";

bool is_readable_word(std::string_view word) noexcept {
  if (word == "true" || word == "false" || word == "null") return true;
  return is_json_number(word) && is_held_exactly(word);
}

class Mender {
 public:
  explicit Mender(std::string_view text) : rest_{text}, size_{text.size()} {}

  MendedJson run() {
    if (rest_.starts_with(byte_order_mark)) rest_.remove_prefix(byte_order_mark.size());
    rest_.remove_prefix(std::min(rest_.find_first_not_of(blanks), rest_.size()));
    done_ = rest_.find_first_of("{[\"") != 0;  // a page, or plain text
    while (!rest_.empty() && !done_) take_token();
    mended_.length = size_ - rest_.size();
    return std::move(mended_);
  }

 private:
  void take_token() {
    const char letter = rest_.front();
    if (letter == '"') {
      take_string();
      done_ = depth_ == 0;
    } else if (letter == '{' || letter == '[') {
      ++depth_;
      copy(1);
    } else if (letter == '}' || letter == ']') {
      done_ = depth_ <= 1;
      if (depth_ > 0) --depth_;
      copy(1);
    } else if (letter == ',' || letter == ':' || blanks.find(letter) != std::string_view::npos) {
      copy(1);
    } else {
      take_word(rest_.substr(0, std::min(rest_.find_first_of(ends_of_words), rest_.size())));
      done_ = depth_ == 0;
    }
  }

  void copy(std::size_t count) {
    mended_.text.append(rest_.substr(0, count));
    rest_.remove_prefix(count);
  }

  void take_word(std::string_view word) {
    rest_.remove_prefix(word.size());
    if (is_readable_word(word)) {
      mended_.text.append(word);
      return;
    }
    JsonWriter quoted;
    quoted.begin_string();
    quoted.add_to_string(bare_word_mark);
    quoted.add_to_string(word);
    quoted.end_string();
    mended_.text.append(quoted.take());
  }

  void take_string() {
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    const bool closed = end < rest_.size();
    end = std::min(end, rest_.size());
    mended_.text += '"';
    add_content(mend_json_text(rest_.substr(1, end - 1)));
    if (closed) mended_.text += '"';
    rest_.remove_prefix(end + (closed ? 1 : 0));
  }

  void add_content(std::string_view content) {
    constexpr std::string_view escapes = "\"\\/bfnrtu";
    constexpr std::string_view digits = "0123456789abcdef";
    for (std::size_t at = 0; at < content.size(); ++at) {
      const auto byte = static_cast<unsigned char>(content[at]);
      if (byte < 0x20) {
        mended_.text.append("\\u00").append(1, digits[byte >> 4U]).append(1, digits[byte & 15U]);
      } else if (content[at] != '\\') {
        mended_.text += content[at];
      } else if (at + 1 < content.size() && escapes.find(content[at + 1]) != std::string_view::npos) {
        mended_.text.append(content.substr(at, 2));
        ++at;
      } else {
        mended_.text.append("\\\\");
      }
    }
  }

  std::string_view rest_;
  std::size_t size_;
  std::size_t depth_ = 0;
  bool done_ = false;
  MendedJson mended_;
};

}  // namespace

MendedJson mend_json(std::string_view text) { return Mender{text}.run(); }

}  // namespace backstop::inline v0::detail
