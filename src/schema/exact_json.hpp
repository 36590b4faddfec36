#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schema/decimal.hpp"
#include "schema/effort.hpp"

namespace backstop::inline v0::detail {

struct ExactJsonMember;

/// A value of JSON, its numbers exact.
struct ExactJson {
  using Array = std::vector<ExactJson>;
  using Object = std::vector<ExactJsonMember>;  // by name
  using Content = std::variant<std::nullptr_t, bool, Decimal, std::string, Array, Object>;

  Content content;  // null

  /// Null for a value of another type.
  template <class Type>
  [[nodiscard]] const Type* as() const noexcept {
    return std::get_if<Type>(&content);
  }
};

struct ExactJsonMember {
  std::string name;
  ExactJson value;
};

/// Null where the object has no such member.
[[nodiscard]] const ExactJson* find_member(const ExactJson::Object& object, std::string_view name) noexcept;

/// Whether two values are the same by JSON Schema: 1 and 1.0 are, the order of members does not count. False, too, when
/// the effort is used up.
[[nodiscard]] bool same_value(const ExactJson& a, const ExactJson& b, Effort& effort);

/// Values among which others are looked for.
class ExactJsonSet {
 public:
  ExactJsonSet() = default;
  /// The values outlive the set.
  ExactJsonSet(const ExactJson::Array& values, Effort& effort);

  [[nodiscard]] bool contains(const ExactJson& value, Effort& effort) const;
  [[nodiscard]] bool has_equal_values(Effort& effort) const;

 private:
  struct Entry {
    std::size_t hash;
    const ExactJson* value;
  };
  std::vector<Entry> entries_;  // by hash
};

/// JSON that was read.
struct ExactDocument {
  ExactJson value{};
  /// The way to a key that stands twice in its object, if there is one: names, and `*` for each array.
  std::vector<std::string> repeated{};
};

/// Fills in the document, or says what is wrong with the text; nothing of the text is quoted.
[[nodiscard]] std::optional<std::string> read_document(std::string_view text, ExactDocument& out);

}  // namespace backstop::inline v0::detail
