#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// Splits a byte stream into server-sent events, wherever the bytes were cut: `feed` a piece, then call `next` until
/// it yields nothing; at the clean end of the body call `finish`.
///
/// Follows the WHATWG HTML standard, section 9.2.6 ("Interpreting an event stream"): lines end with LF, CRLF or CR,
/// comments are skipped, several `data` lines are joined with LF, a BOM at the start is dropped. Beyond it, because
/// servers do: a field `error` is an event of that name; a line that begins with `{` or `[` begins a bare JSON
/// document, which goes on to the next blank line or the end; `finish` hands out an event that lacks its blank line.
///
/// Cost: an event inside one piece is not copied; others are, into buffers that are kept.
class ServerSentEvents {
 public:
  struct Event {
    std::string_view name;  ///< of the `event` field; empty without one
    std::string_view data;
    bool bare = false;      ///< JSON without a field in front
    std::size_t readable_behind = 0;  ///< how many bytes after the data may be read, if not used
  };

  static constexpr std::size_t default_limit = std::size_t{16} << 20;
  /// `limit`: bytes of the largest line and of the largest event.
  explicit ServerSentEvents(std::size_t limit = default_limit) noexcept : limit_{limit} {}

  /// The bytes must live until `next` has yielded nothing.
  void feed(std::string_view piece);
  /// The next event that is whole; its strings live until the next call of anything here.
  [[nodiscard]] bool next(Event& event);
  /// After the last `next`: the event that the end of the body left without its blank line.
  [[nodiscard]] bool finish(Event& event);
  /// An event or a line was larger than the limit. Nothing more is yielded then.
  [[nodiscard]] bool too_large() const noexcept { return too_large_; }

 private:
  [[nodiscard]] bool take_whole_event(Event& event) noexcept;
  [[nodiscard]] bool next_line(std::string_view& line);
  [[nodiscard]] std::size_t find_line_end() noexcept;
  void take_line(std::string_view line);
  void add_data(std::string_view value);
  [[nodiscard]] bool dispatch(Event& event);
  void begin_event() noexcept;

  std::size_t limit_;
  std::string_view piece_;        // what is left of the piece
  const char* line_feed_ = nullptr;        // the next one in the piece, or its end; null: not looked for yet
  const char* carriage_return_ = nullptr;  // likewise
  std::string partial_line_;      // the beginning of a line, from earlier pieces
  std::string whole_line_;        // the line that `next_line` put together
  bool line_in_piece_ = false;    // the line is a part of the piece, not `whole_line_`
  std::string name_;
  std::string data_;              // the event's data, where it is not a part of the piece
  std::string_view data_view_;
  bool data_in_piece_ = false;    // it is `data_view_`
  bool has_data_ = false;
  bool bare_ = false;
  bool dispatched_ = false;       // the last event has been handed out
  bool first_line_ = true;
  bool skip_line_feed_ = false;   // the last piece ended with CR
  bool too_large_ = false;
};

}  // namespace backstop::inline v0::detail
