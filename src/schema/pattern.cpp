#include "schema/pattern.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "schema/utf8.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr int unlimited = -1;
constexpr int most_repeats = 1'000;
constexpr int deepest_group = 100;
constexpr char32_t last_letter = 0x10FFFF;

struct NotAccepted {
  std::string why;
};

[[nodiscard]] bool is_word(char32_t letter) noexcept {
  return (letter >= U'a' && letter <= U'z') || (letter >= U'A' && letter <= U'Z') ||
         (letter >= U'0' && letter <= U'9') || letter == U'_';
}

/// The part of an expression that a repetition is of.
struct Expression {
  enum class What : std::uint8_t { nothing, letter, set, sequence, either, repeat, begin, end, word_boundary, no_word_boundary };

  What what = What::nothing;
  char32_t letter = 0;
  CharacterSet set{};
  std::vector<Expression> parts{};
  int least = 0;
  int most = 0;
};

[[nodiscard]] std::optional<CharacterSet> class_of(char32_t escape) {
  CharacterSet set;
  switch (escape) {
    case U'd':
    case U'D': set.ranges = {{U'0', U'9'}}; break;
    case U'w':
    case U'W': set.ranges = {{U'a', U'z'}, {U'A', U'Z'}, {U'0', U'9'}, {U'_', U'_'}}; break;
    case U's':
    case U'S':
      set.ranges = {{9, 13}, {32, 32}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                    {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
      break;
    default: return std::nullopt;
  }
  set.negated = escape == U'D' || escape == U'W' || escape == U'S';
  return set;
}

/// The same letters as ranges that are not negated.
[[nodiscard]] std::vector<CharacterSet::Range> positive(CharacterSet set) {
  if (!set.negated) return std::move(set.ranges);
  std::sort(set.ranges.begin(), set.ranges.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CharacterSet::Range> gaps;
  char32_t from = 0;
  for (const CharacterSet::Range& range : set.ranges) {
    if (range.first > from) gaps.push_back({from, range.first - 1});
    from = std::max<char32_t>(from, range.last + 1);
  }
  if (from <= last_letter) gaps.push_back({from, last_letter});
  return gaps;
}

class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : letters_{code_points(text)} {}

  [[nodiscard]] Expression read() {
    Expression all = either(0);
    if (!at_end()) throw NotAccepted{"a `)` closes no group"};
    return all;
  }

 private:
  [[nodiscard]] bool at_end() const noexcept { return at_ >= letters_.size(); }
  [[nodiscard]] char32_t peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < letters_.size() ? letters_[at_ + ahead] : char32_t{0xFFFFFFFF};
  }
  bool skip(char32_t letter) noexcept {
    if (peek() != letter) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] char32_t take(const char* what) {
    if (at_end()) throw NotAccepted{fmt::format("it ends within {}", what)};
    return letters_[at_++];
  }

  [[nodiscard]] Expression either(int depth) {
    if (depth > deepest_group) throw NotAccepted{"its groups are nested too deeply"};
    Expression all{.what = Expression::What::either};
    do {
      all.parts.push_back(sequence(depth));
    } while (skip(U'|'));
    return all.parts.size() == 1 ? std::move(all.parts.front()) : all;
  }

  [[nodiscard]] Expression sequence(int depth) {
    Expression all{.what = Expression::What::sequence};
    while (!at_end() && peek() != U'|' && peek() != U')') {
      Expression one = atom(depth);
      const bool asserts = one.what >= Expression::What::begin;
      while (const auto times = repetition()) {
        if (asserts) throw NotAccepted{"a repetition stands behind an assertion"};
        Expression repeated{.what = Expression::What::repeat, .least = times->first, .most = times->second};
        repeated.parts.push_back(std::move(one));
        one = std::move(repeated);
        skip(U'?');  // greedy or not: whether it matches is the same
        if (peek() == U'*' || peek() == U'+') throw NotAccepted{"a repetition has nothing to repeat"};
      }
      all.parts.push_back(std::move(one));
    }
    return all;
  }

  [[nodiscard]] std::optional<std::pair<int, int>> repetition() {
    if (skip(U'*')) return std::pair{0, unlimited};
    if (skip(U'+')) return std::pair{1, unlimited};
    if (skip(U'?')) return std::pair{0, 1};
    if (peek() != U'{') return std::nullopt;
    const std::size_t begin = at_++;
    const std::optional<int> least = number();
    std::optional<int> most = least;
    if (least && skip(U',')) most = peek() == U'}' ? std::optional{unlimited} : number();
    if (!least || !most || !skip(U'}')) {  // then it is a letter like others
      at_ = begin;
      return std::nullopt;
    }
    if (*most != unlimited && *most < *least) throw NotAccepted{"a repetition is at most less often than at least"};
    return std::pair{*least, *most};
  }

  [[nodiscard]] std::optional<int> number() {
    if (peek() < U'0' || peek() > U'9') return std::nullopt;
    int value = 0;
    while (peek() >= U'0' && peek() <= U'9') {
      value = value * 10 + static_cast<int>(letters_[at_++] - U'0');
      if (value > most_repeats) throw NotAccepted{fmt::format("it repeats something more than {} times", most_repeats)};
    }
    return value;
  }

  [[nodiscard]] Expression atom(int depth) {
    const char32_t letter = letters_[at_++];
    switch (letter) {
      case U'^': return {.what = Expression::What::begin};
      case U'$': return {.what = Expression::What::end};
      case U'.':
        return {.what = Expression::What::set,
                .set = {.ranges = {{U'\n', U'\n'}, {U'\r', U'\r'}, {0x2028, 0x2029}}, .negated = true}};
      case U'[': return {.what = Expression::What::set, .set = set()};
      case U'(': return group(depth);
      case U'\\': return escaped();
      case U'*':
      case U'+':
      case U'?': throw NotAccepted{"a repetition has nothing to repeat"};
      default: return {.what = Expression::What::letter, .letter = letter};
    }
  }

  [[nodiscard]] Expression group(int depth) {
    if (skip(U'?')) {
      if (peek() == U'=' || peek() == U'!') throw NotAccepted{"look-ahead is not accepted"};
      if (peek() == U'<' && (peek(1) == U'=' || peek(1) == U'!')) throw NotAccepted{"look-behind is not accepted"};
      if (skip(U'<')) {
        while (!skip(U'>')) static_cast<void>(take("a group's name"));
      } else if (!skip(U':')) {
        throw NotAccepted{"it has a group of an unknown kind"};
      }
    }
    Expression inside = either(depth + 1);
    if (!skip(U')')) throw NotAccepted{"a group is not closed"};
    return inside;
  }

  [[nodiscard]] Expression escaped() {
    const char32_t letter = take("an escape");
    if (letter == U'b') return {.what = Expression::What::word_boundary};
    if (letter == U'B') return {.what = Expression::What::no_word_boundary};
    if (auto set = class_of(letter)) return {.what = Expression::What::set, .set = *std::move(set)};
    if (letter >= U'1' && letter <= U'9') throw NotAccepted{"references to groups are not accepted"};
    if (letter == U'k') throw NotAccepted{"references to groups are not accepted"};
    return {.what = Expression::What::letter, .letter = escaped_letter(letter)};
  }

  [[nodiscard]] char32_t escaped_letter(char32_t letter) {
    switch (letter) {
      case U't': return U'\t';
      case U'n': return U'\n';
      case U'r': return U'\r';
      case U'f': return U'\f';
      case U'v': return U'\v';
      case U'0': return U'\0';
      case U'x': return hexadecimal(2);
      case U'c': return take("an escape") % 32;
      case U'u': return unicode();
      case U'p':
      case U'P': throw NotAccepted{"Unicode properties (\\p) are not accepted"};
      default: break;
    }
    if (is_word(letter) && letter != U'_') throw NotAccepted{"it has an unknown escape"};
    return letter;
  }

  [[nodiscard]] char32_t unicode() {
    if (skip(U'{')) {
      char32_t value = 0;
      while (!skip(U'}')) {
        value = value * 16 + digit(take("an escape"));
        if (value > last_letter) throw NotAccepted{"an escape is beyond Unicode"};
      }
      return value;
    }
    const char32_t high = hexadecimal(4);
    if (high < 0xD800 || high > 0xDBFF || peek() != U'\\' || peek(1) != U'u') return high;
    at_ += 2;
    const char32_t low = hexadecimal(4);
    return 0x10000 + ((high - 0xD800) << 10U) + (low - 0xDC00);
  }
  [[nodiscard]] char32_t hexadecimal(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) value = value * 16 + digit(take("an escape"));
    return value;
  }
  [[nodiscard]] static char32_t digit(char32_t letter) {
    if (letter >= U'0' && letter <= U'9') return letter - U'0';
    if (letter >= U'a' && letter <= U'f') return letter - U'a' + 10;
    if (letter >= U'A' && letter <= U'F') return letter - U'A' + 10;
    throw NotAccepted{"an escape has a letter that is no hexadecimal digit"};
  }

  [[nodiscard]] CharacterSet set() {
    CharacterSet all;
    all.negated = skip(U'^');
    while (!skip(U']')) {
      const std::optional<char32_t> first = one_of_set(all);
      if (peek() != U'-' || peek(1) == U']') {
        if (first) all.ranges.push_back({*first, *first});
        continue;
      }
      ++at_;
      const std::optional<char32_t> last = one_of_set(all);
      if (!first || !last || *last < *first) throw NotAccepted{"a range of letters has no order"};
      all.ranges.push_back({*first, *last});
    }
    return all;
  }
  /// Empty for a class, which is added to the set.
  [[nodiscard]] std::optional<char32_t> one_of_set(CharacterSet& all) {
    const char32_t letter = take("a set");
    if (letter != U'\\') return letter;
    const char32_t escape = take("an escape");
    if (escape == U'b') return U'\b';
    if (const auto set = class_of(escape)) {
      for (const CharacterSet::Range& range : positive(*set)) all.ranges.push_back(range);
      return std::nullopt;
    }
    return escaped_letter(escape);
  }

  std::u32string letters_;
  std::size_t at_ = 0;
};

}  // namespace

/// Writes a program for an expression.
class PatternWriter {
 public:
  explicit PatternWriter(Pattern& pattern) noexcept : pattern_{&pattern} {}

  void write(const Expression& all) {
    part(all);
    add(Step::What::match);
  }

 private:
  using Step = Pattern::Step;
  using What = Expression::What;

  std::size_t add(Step::What what) {
    if (pattern_->steps_.size() >= Pattern::largest_program) {
      throw NotAccepted{too_large};
    }
    pattern_->steps_.push_back({.what = what});
    return pattern_->steps_.size() - 1;
  }
  [[nodiscard]] std::size_t here() const noexcept { return pattern_->steps_.size(); }
  [[nodiscard]] Step& step(std::size_t index) noexcept { return pattern_->steps_[index]; }

  void part(const Expression& one) {
    if (++parts_ > 10 * Pattern::largest_program) throw NotAccepted{too_large};  // of what writes nothing, too
    switch (one.what) {
      case What::nothing: return;
      case What::letter: {
        const std::size_t index = add(Step::What::letter);
        step(index).letter = one.letter;
        return;
      }
      case What::set: {
        const std::size_t index = add(Step::What::set);
        const auto [known, is_new] = sets_.try_emplace(&one, pattern_->sets_.size());
        if (is_new) pattern_->sets_.push_back(one.set);
        step(index).set = known->second;
        return;
      }
      case What::sequence:
        for (const Expression& next : one.parts) part(next);
        return;
      case What::either: return either(one);
      case What::repeat: return repeat(one);
      case What::begin: add(Step::What::begin); return;
      case What::end: add(Step::What::end); return;
      case What::word_boundary: add(Step::What::word_boundary); return;
      case What::no_word_boundary: add(Step::What::no_word_boundary); return;
    }
  }

  void either(const Expression& one) {
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i + 1 < one.parts.size(); ++i) {
      const std::size_t split = add(Step::What::split);
      step(split).next = here();
      part(one.parts[i]);
      ends.push_back(add(Step::What::jump));
      step(split).other = here();
    }
    part(one.parts.back());
    for (const std::size_t end : ends) step(end).next = here();
  }

  void repeat(const Expression& one) {
    const Expression& inside = one.parts.front();
    for (int i = 0; i < one.least; ++i) part(inside);
    if (one.most == unlimited) {
      const std::size_t split = add(Step::What::split);
      step(split).next = here();
      part(inside);
      const std::size_t back = add(Step::What::jump);
      step(back).next = split;
      step(split).other = here();
      return;
    }
    std::vector<std::size_t> splits;
    for (int i = one.least; i < one.most; ++i) {
      splits.push_back(add(Step::What::split));
      step(splits.back()).next = here();
      part(inside);
    }
    for (const std::size_t split : splits) step(split).other = here();
  }

  static constexpr const char* too_large = "it is too large when its repetitions are written out";

  Pattern* pattern_;
  std::size_t parts_ = 0;
  std::map<const void*, std::size_t> sets_;  // by expression, as a repetition writes the same one again
};

namespace {

/// Where a match may have got to.
class Places {
 public:
  explicit Places(std::size_t steps) : known_(steps, 0) {}

  bool add(std::size_t step) {
    if (known_[step] != 0) return false;
    known_[step] = 1;
    list_.push_back(step);
    return true;
  }
  void clear() noexcept {
    for (const std::size_t step : list_) known_[step] = 0;
    list_.clear();
  }
  [[nodiscard]] const std::vector<std::size_t>& list() const noexcept { return list_; }

 private:
  std::vector<char> known_;
  std::vector<std::size_t> list_;
};

}  // namespace

bool CharacterSet::contains(char32_t letter) const noexcept {
  const bool listed = std::any_of(ranges.begin(), ranges.end(), [letter](const Range& range) {
    return letter >= range.first && letter <= range.last;
  });
  return listed != negated;
}

Result<Pattern> Pattern::compile(std::string_view text) {
  try {
    Pattern pattern;
    const Expression all = PatternReader{text}.read();
    PatternWriter{pattern}.write(all);
    return pattern;
  } catch (const NotAccepted& problem) {
    return Error{ErrorKind::invalid_request, problem.why};
  }
}

bool Pattern::matches(std::string_view text, Effort& effort) const {
  if (!effort.spend(10 + (steps_.size() + text.size()) / 8)) return false;
  const std::u32string letters = code_points(text);
  Places now{steps_.size()};
  Places then{steps_.size()};
  std::vector<std::size_t> to_follow;
  for (std::size_t at = 0; at <= letters.size(); ++at) {
    const bool word_before = at > 0 && is_word(letters[at - 1]);
    const bool word_behind = at < letters.size() && is_word(letters[at]);
    // From the places that a letter leads to, and from the beginning, along all that takes no letter.
    to_follow.assign(then.list().rbegin(), then.list().rend());
    to_follow.push_back(0);
    now.clear();
    while (!to_follow.empty()) {
      const std::size_t index = to_follow.back();
      to_follow.pop_back();
      if (!now.add(index)) continue;
      const Step& step = steps_[index];
      const auto go_on = [&](bool may) {
        if (may) to_follow.push_back(index + 1);
      };
      switch (step.what) {
        case Step::What::match: return true;
        case Step::What::jump: to_follow.push_back(step.next); break;
        case Step::What::split:
          to_follow.push_back(step.other);
          to_follow.push_back(step.next);
          break;
        case Step::What::begin: go_on(at == 0); break;
        case Step::What::end: go_on(at == letters.size()); break;
        case Step::What::word_boundary: go_on(word_before != word_behind); break;
        case Step::What::no_word_boundary: go_on(word_before == word_behind); break;
        case Step::What::letter:
        case Step::What::set: break;
      }
    }
    if (at == letters.size()) break;
    if (!effort.spend(now.list().size() + 1)) return false;
    then.clear();
    for (const std::size_t index : now.list()) {
      const Step& step = steps_[index];
      if (step.what == Step::What::letter && step.letter == letters[at]) then.add(index + 1);
      if (step.what != Step::What::set) continue;
      const CharacterSet& set = sets_[step.set];
      if (effort.spend(set.ranges.size() / 4) && set.contains(letters[at])) then.add(index + 1);
    }
  }
  return false;
}

}  // namespace backstop::inline v0::detail
