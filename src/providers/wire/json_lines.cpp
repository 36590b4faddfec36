#include "json_lines.hpp"

#include <algorithm>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

// On one line; as `JsonDocument::next` passes over between values.
constexpr std::string_view between_documents{" \t\r,\0\x1E", 6};

}  // namespace

void JsonLines::feed(std::string_view piece) {
  bytes_.erase(0, begin_);
  seen_ -= begin_;
  behind_ = 0;
  begin_ = 0;
  bytes_.append(piece);
}

bool JsonLines::next(std::string_view& document) {
  while (!too_large_ && seen_ < bytes_.size()) {
    if (place_ != Place::document) {
      pass_rest_of_line();
      continue;
    }
    const std::size_t end = std::min(bytes_.find('\n', seen_), bytes_.size());
    seen_ += scan_.feed_to_end(std::string_view{bytes_}.substr(seen_, end - seen_));
    const bool closed = scan_.closed();
    const bool at_line_end = !closed && end < bytes_.size();
    if (at_line_end) ++seen_;
    too_large_ = seen_ - begin_ > limit_;
    if (closed) place_ = Place::behind;
    if (!too_large_ && (closed || (at_line_end && !scan_.open())) && take(seen_, document)) return true;
  }
  return false;
}

// Of a line whose document has been handed out.
void JsonLines::pass_rest_of_line() {
  const std::size_t found = place_ == Place::behind ? bytes_.find_first_not_of(between_documents, seen_)
                                                    : bytes_.find('\n', seen_);
  begin_ = seen_ = std::min(found, bytes_.size());
  if (seen_ == bytes_.size()) return;
  const char letter = bytes_[seen_];
  if (letter == '\n') begin_ = ++seen_;
  place_ = letter == '\n' || letter == '{' || letter == '[' ? Place::document : Place::nothing;
}

bool JsonLines::finish(std::string_view& document) {
  return !too_large_ && place_ == Place::document && take(bytes_.size(), document);
}

bool JsonLines::take(std::size_t end, std::string_view& document) {
  document = trim(std::string_view{bytes_}.substr(begin_, end - begin_));
  behind_ = document.empty() ? end : static_cast<std::size_t>(document.data() - bytes_.data()) + document.size();
  begin_ = seen_ = end;
  scan_ = {};
  return !document.empty();
}

}  // namespace backstop::inline v0::detail
