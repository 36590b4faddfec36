#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace backstop::inline v0::detail {

/// The values of the keys in use, which are masked in everything that comes from a server or from the transport.
///
/// A value is found as it stands, with any of its characters written as %XX, \uXXXX, an entity of HTML or behind a
/// backslash, and inside base64. One that is cut off by the end of the text is found too.
class Secrets {
 public:
  /// A key. Shorter than four characters it is left: it would be everywhere.
  void add(std::string_view key) { add(key, 4); }
  /// A header field that the application sends to this target: any name may carry a key. Of fields that are known to
  /// carry one, the parts of the value count too: "Bearer x", "Basic dTpw", "a=b; c=d".
  void add_header(std::string_view name, std::string_view value);
  /// The values in the query of an address, such as `?key=...`.
  void add_query(std::string_view url);

  /// Replaces every value by `***`.
  void redact(std::string& text) const;
  /// The text masked and then made presentable (`foreign_text.hpp`): what is cut is cut from the masked text.
  [[nodiscard]] std::string quote(std::string_view text, std::size_t limit) const;

 private:
  void add(std::string_view value, std::size_t shortest);
  [[nodiscard]] std::string masked(std::string_view text, std::size_t enough) const;

  std::vector<std::string> values_;
};

}  // namespace backstop::inline v0::detail
