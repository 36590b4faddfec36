#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace backstop::inline v0::detail {

/// Writes JSON from front to back into one string: what a request's body needs, at the cost of copying its texts.
///
/// Commas are its business, balanced brackets the caller's. Text that is not UTF-8 comes out with U+FFFD in the place
/// of what is wrong; numbers that JSON does not have come out as null.
///
/// Example: `writer.begin_object(); writer.field("model", "m"); writer.key("stop"); writer.begin_array(); ...`
class JsonWriter {
 public:
  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }

  /// Keys are ours and need no escapes.
  void key(std::string_view name) {
    separate();
    text_.append(1, '"').append(name).append("\":");
    needs_comma_ = false;
  }

  void string(std::string_view value) {
    begin_string();
    add_to_string(value);
    end_string();
  }
  /// A string in pieces, such as a data URL: begin, add ..., end.
  void begin_string() {
    separate();
    text_ += '"';
  }
  void add_to_string(std::string_view piece);
  void end_string() { close('"'); }

  void number(std::int64_t value);
  void number(double value);
  void boolean(bool value) { plain(value ? "true" : "false"); }
  void null() { plain("null"); }
  /// JSON as it stands, known to be valid.
  void raw(std::string_view json) { plain(json); }

  void field(std::string_view name, std::string_view value) {
    key(name);
    string(value);
  }
  void field(std::string_view name, const char* value) { field(name, std::string_view{value}); }
  void field(std::string_view name, std::same_as<bool> auto value) {
    key(name);
    boolean(value);
  }
  void field(std::string_view name, std::int64_t value) {
    key(name);
    number(value);
  }
  void field(std::string_view name, double value) {
    key(name);
    number(value);
  }

  void reserve(std::size_t size) { text_.reserve(size); }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void separate() {
    if (needs_comma_) text_ += ',';
    needs_comma_ = true;
  }
  void open(char bracket) {
    separate();
    text_ += bracket;
    needs_comma_ = false;
  }
  void close(char bracket) {
    text_ += bracket;
    needs_comma_ = true;
  }
  void plain(std::string_view value) {
    separate();
    text_ += value;
  }

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace backstop::inline v0::detail
