#include "json_lines.hpp"

#include <algorithm>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

void JsonLines::feed(std::string_view piece) {
  bytes_.erase(0, begin_);
  seen_ -= begin_;
  behind_ = 0;
  begin_ = 0;
  bytes_.append(piece);
}

bool JsonLines::next(std::string_view& document) {
  while (!too_large_ && seen_ < bytes_.size()) {
    const std::size_t end = std::min(bytes_.find('\n', seen_), bytes_.size());
    const bool at_line_end = end < bytes_.size();
    scan_.feed(std::string_view{bytes_}.substr(seen_, end - seen_));
    seen_ = at_line_end ? end + 1 : end;
    too_large_ = seen_ - begin_ > limit_;
    const bool whole = scan_.closed() || (at_line_end && !scan_.open());
    if (!too_large_ && whole && take(seen_, document)) return true;
  }
  return false;
}

bool JsonLines::finish(std::string_view& document) { return !too_large_ && take(bytes_.size(), document); }

bool JsonLines::take(std::size_t end, std::string_view& document) {
  document = trim(std::string_view{bytes_}.substr(begin_, end - begin_));
  behind_ = document.empty() ? end : static_cast<std::size_t>(document.data() - bytes_.data()) + document.size();
  begin_ = seen_ = end;
  scan_ = {};
  return !document.empty();
}

}  // namespace backstop::inline v0::detail
