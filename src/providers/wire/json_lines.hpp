#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "object_scan.hpp"

namespace backstop::inline v0::detail {

/// Splits a byte stream into JSON documents, a line each (NDJSON), wherever the bytes were cut: `feed` a piece, then
/// call `next` until it yields nothing; at the clean end of the body call `finish`.
///
/// Beyond that, because servers do: blank lines are skipped, an object may go on over several lines, and one that is
/// whole does not wait for its line to end. What follows it on its line is another document where it begins like one,
/// else nothing. A line that is no JSON is handed out as it stands.
///
/// Cost: linear in the bytes; what is kept is the document that is not whole yet.
class JsonLines {
 public:
  /// `limit`: bytes of the largest document.
  explicit JsonLines(std::size_t limit) noexcept : limit_{limit} {}

  void feed(std::string_view piece);
  /// The next document that is whole; it lives until the next call of anything here.
  [[nodiscard]] bool next(std::string_view& document);
  /// After the last `next`: what the end of the body left.
  [[nodiscard]] bool finish(std::string_view& document);
  /// How many bytes after the last document may be read, if not used.
  [[nodiscard]] std::size_t readable_behind() const noexcept { return bytes_.size() - behind_; }
  /// A document was larger than the limit. Nothing more is yielded then.
  [[nodiscard]] bool too_large() const noexcept { return too_large_; }

 private:
  /// Where the reader is: in a document, behind one on its line, or in what is none there.
  enum class Place : unsigned char { document, behind, nothing };

  [[nodiscard]] bool take(std::size_t end, std::string_view& document);
  void pass_rest_of_line();

  std::size_t limit_;
  std::string bytes_;
  std::size_t begin_ = 0;  ///< of the document that is being read
  std::size_t seen_ = 0;   ///< up to where it was looked at
  std::size_t behind_ = 0;  ///< where the last document ends
  ObjectScan scan_;        ///< of the document
  Place place_ = Place::document;
  bool too_large_ = false;
};

}  // namespace backstop::inline v0::detail
