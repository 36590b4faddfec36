#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace backstop::inline v0::detail {

/// A value inside a JSON document that knows its place, so that a complaint can name it.
///
/// The first complaint of a document is kept in the string that all its nodes share; after it reading goes on with
/// defaults, and whoever started looks at the string at the end. An absent or null value is a node too.
class Node {
 public:
  Node(const nlohmann::ordered_json& document, std::string& problem) : json_{&document}, problem_{&problem} {}

  [[nodiscard]] const nlohmann::ordered_json& json() const noexcept { return *json_; }
  [[nodiscard]] bool present() const noexcept { return !json_->is_null(); }

  /// The member of that name; absent when this is no object or has none.
  [[nodiscard]] Node operator[](std::string_view key) const;
  /// The element at that place of an array.
  [[nodiscard]] Node operator[](std::size_t index) const;

  /// Complains unless this is an object with no other keys than these.
  bool object(std::initializer_list<std::string_view> keys) const;
  /// The number of elements; complains unless this is an array. Absent counts as empty.
  [[nodiscard]] std::size_t array(std::string_view of_what) const;

  // Each complains about a value of another type and gives a default then; absent is the default without a complaint.
  [[nodiscard]] std::string string() const;
  [[nodiscard]] std::string non_empty_string() const;  ///< complains about an absent or empty one as well
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<double> number(double least, double most) const;
  [[nodiscard]] std::optional<std::int64_t> positive_integer() const;
  [[nodiscard]] std::optional<std::int64_t> integer() const;  ///< of 64 bits
  [[nodiscard]] std::string object_text() const;  ///< an object, as text

  /// "`place` " and the rest of the sentence.
  void complain(std::string_view rest) const;
  /// "must be `accepted`, not" what it is: the type, never the value, which may be part of a prompt.
  void refuse(std::string_view accepted) const;

 private:
  Node(const nlohmann::ordered_json* json, std::string place, std::string* problem)
      : json_{json}, place_{std::move(place)}, problem_{problem} {}

  const nlohmann::ordered_json* json_;
  std::string place_;
  std::string* problem_;
};

/// A number without a fraction that 64 bits hold; empty for everything else.
[[nodiscard]] std::optional<std::int64_t> whole_number(const nlohmann::ordered_json& json);

/// "a, b, c", for complaints.
[[nodiscard]] std::string listed(std::initializer_list<std::string_view> names);

}  // namespace backstop::inline v0::detail
