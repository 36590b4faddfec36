#include "server_sent_events.hpp"

#include <algorithm>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

void ServerSentEvents::feed(std::string_view piece) {
  piece_ = piece;
  line_feed_ = nullptr;
  carriage_return_ = nullptr;
  if (skip_line_feed_ && !piece_.empty()) {
    if (piece_.front() == '\n') piece_.remove_prefix(1);
    skip_line_feed_ = false;
  }
}

bool ServerSentEvents::next(Event& event) {
  if (dispatched_) begin_event();
  if (take_whole_event(event)) return true;
  std::string_view line;
  while (!too_large_ && next_line(line)) {
    if (first_line_) {
      first_line_ = false;
      if (line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    }
    if (!line.empty()) {
      take_line(line);
    } else if (dispatch(event)) {
      return true;
    }
  }
  // The piece is at an end and its bytes will be gone.
  if (data_in_piece_) {
    data_.assign(data_view_);
    data_in_piece_ = false;
  }
  return false;
}

// Nearly all events are one line of data that came in one piece: those skip the way through lines and fields.
bool ServerSentEvents::take_whole_event(Event& event) noexcept {
  constexpr std::string_view field = "data: ";
  const bool at_start = !has_data_ && name_.empty() && partial_line_.empty() && !too_large_;
  if (!at_start || !piece_.starts_with(field)) return false;
  const std::size_t end = find_line_end();
  if (end == std::string_view::npos || end == field.size() || end > limit_) return false;
  if (!piece_.substr(end).starts_with("\n\n")) return false;
  event.name = {};
  event.data = piece_.substr(field.size(), end - field.size());
  event.bare = false;
  event.readable_behind = piece_.size() - end;
  piece_.remove_prefix(end + 2);
  first_line_ = false;
  return true;
}

bool ServerSentEvents::finish(Event& event) {
  if (dispatched_) begin_event();
  if (too_large_) return false;
  if (!partial_line_.empty()) {
    whole_line_.swap(partial_line_);
    partial_line_.clear();
    line_in_piece_ = false;
    std::string_view line = whole_line_;
    if (first_line_ && line.starts_with(byte_order_mark)) line.remove_prefix(byte_order_mark.size());
    if (!line.empty()) take_line(line);
  }
  return dispatch(event);
}

bool ServerSentEvents::next_line(std::string_view& line) {
  const std::size_t end = find_line_end();
  too_large_ = partial_line_.size() + std::min(end, piece_.size()) > limit_;
  if (too_large_) return false;
  if (end == std::string_view::npos) {
    partial_line_.append(piece_);
    piece_ = {};
    return false;
  }
  line = piece_.substr(0, end);
  std::size_t used = end + 1;
  if (piece_[end] == '\r') {
    if (used == piece_.size()) {
      skip_line_feed_ = true;
    } else if (piece_[used] == '\n') {
      ++used;
    }
  }
  piece_.remove_prefix(used);
  line_in_piece_ = partial_line_.empty();
  if (line_in_piece_) return true;
  partial_line_.append(line);
  whole_line_.swap(partial_line_);
  partial_line_.clear();
  line = whole_line_;
  return true;
}

// Both ends of a line are remembered, so that no byte of a piece is searched twice, however many lines it has.
std::size_t ServerSentEvents::find_line_end() noexcept {
  const char* const end = piece_.data() + piece_.size();
  const auto look_for = [&](const char*& at, char wanted) {
    if (at != nullptr && at >= piece_.data()) return;
    const std::size_t found = piece_.find(wanted);
    at = found == std::string_view::npos ? end : piece_.data() + found;
  };
  look_for(line_feed_, '\n');
  look_for(carriage_return_, '\r');
  const char* const line_end = std::min(line_feed_, carriage_return_);
  return line_end == end ? std::string_view::npos : static_cast<std::size_t>(line_end - piece_.data());
}

void ServerSentEvents::take_line(std::string_view line) {
  if (bare_ || (!has_data_ && (line.front() == '{' || line.front() == '['))) {
    bare_ = true;
    add_data(line);
    return;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    add_data(value);
  } else if (field == "event") {
    name_.assign(value);
  } else if (field == "error") {
    name_.assign(field);
    add_data(value);
  }
}

void ServerSentEvents::add_data(std::string_view value) {
  if (!has_data_) {
    has_data_ = true;
    if (line_in_piece_) {
      data_view_ = value;
      data_in_piece_ = true;
    } else {
      data_.assign(value);
    }
  } else {
    if (data_in_piece_) {
      data_.assign(data_view_);
      data_in_piece_ = false;
    }
    data_.push_back('\n');
    data_.append(value);
  }
  if (data_.size() > limit_) too_large_ = true;
}

bool ServerSentEvents::dispatch(Event& event) {
  event.name = name_;
  event.data = data_in_piece_ ? data_view_ : std::string_view{data_};
  event.bare = bare_;
  event.readable_behind =
      data_in_piece_ ? static_cast<std::size_t>(piece_.data() + piece_.size() - (data_view_.data() + data_view_.size())) : 0;
  dispatched_ = true;
  if (!has_data_ || event.data.empty() || too_large_) {
    begin_event();
    return false;
  }
  return true;
}

void ServerSentEvents::begin_event() noexcept {
  dispatched_ = false;
  name_.clear();
  data_.clear();
  data_in_piece_ = false;
  has_data_ = false;
  bare_ = false;
}

}  // namespace backstop::inline v0::detail
