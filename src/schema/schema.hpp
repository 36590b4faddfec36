#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// A JSON Schema, ready to be checked against: the assertions of draft 2020-12 that providers take for structured
/// output and tools, and the older forms of `items`, `additionalItems`, `definitions` and `dependencies`.
///
/// - A keyword that is neither such an assertion nor a known annotation is an error; nothing is ignored. `format` is an
///   annotation, as the specification has it.
/// - `$ref` leads within the schema: `#`, `#/$defs/...`. Nothing is fetched.
/// - What can be known of a schema without a value is told when it is compiled: circles of references for one value,
///   limits that contradict each other, keys that stand twice.
/// - Numbers are compared by their digits (`Decimal`). JSON with a key twice in one object matches nothing.
/// - Both schema and JSON may be nested 500 levels deep, patterns are matched without backtracking, and the work of one
///   check is bounded (`Effort`): what is beyond is reported like a value that does not match.
///
/// Thread safety: one schema may be used by many threads. Cost: copying copies a pointer.
class Schema {
 public:
  /// Errors: `invalid_request` with the place and what is not accepted there.
  [[nodiscard]] static Result<Schema> compile(std::string_view text);

  /// What is wrong with the JSON, its place first ("/items/*/price must be a number and is a string"); empty when it
  /// matches. Names that the schema does not have are shown as `*`, and no value is quoted. At most 500 bytes.
  [[nodiscard]] std::optional<std::string> check(std::string_view json) const;

 private:
  struct Rules;
  class Reader;

  explicit Schema(std::shared_ptr<const Rules> rules) noexcept : rules_{std::move(rules)} {}

  std::shared_ptr<const Rules> rules_;
};

}  // namespace backstop::inline v0::detail
