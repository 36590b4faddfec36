#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "backstop/chat/result.hpp"
#include "schema/effort.hpp"

namespace backstop::inline v0::detail {

/// A set of characters, as ranges of code points.
struct CharacterSet {
  struct Range {
    char32_t first;
    char32_t last;
  };
  std::vector<Range> ranges{};
  bool negated = false;

  [[nodiscard]] bool contains(char32_t letter) const noexcept;
};

/// A regular expression of JSON Schema's `pattern` (ECMA-262). All ways to match are followed side by side and nothing is
/// tried again, so the time is at most proportional to the length of the text.
///
/// Not accepted, because they cannot be matched so: look-ahead, look-behind and references to groups; nor are Unicode
/// properties (`\p`) and patterns that grow beyond `largest_program` when their repetitions are written out.
///
/// Thread safety: one pattern may be used by many threads.
class Pattern {
 public:
  static constexpr std::size_t largest_program = 5'000;

  /// Errors: `invalid_request`, which says what is not accepted.
  [[nodiscard]] static Result<Pattern> compile(std::string_view text);

  /// Whether it matches somewhere in the text, which is UTF-8. False, too, when the effort is used up.
  [[nodiscard]] bool matches(std::string_view text, Effort& effort) const;

 private:
  friend class PatternWriter;

  struct Step {
    enum class What : std::uint8_t { letter, set, split, jump, begin, end, word_boundary, no_word_boundary, match };

    What what = What::match;
    char32_t letter = 0;
    std::size_t set = 0;
    std::size_t next = 0;   // jump, split
    std::size_t other = 0;  // split
  };

  std::vector<Step> steps_;
  std::vector<CharacterSet> sets_;
};

}  // namespace backstop::inline v0::detail
