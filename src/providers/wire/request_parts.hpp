#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "json_writer.hpp"

/// What the encoders of several wires read out of a request alike.
namespace backstop::inline v0::detail {

/// About how long the request is as JSON: as much as its long texts, and a little for what stands around them. For
/// `JsonWriter::reserve`; it may come out longer.
[[nodiscard]] std::size_t expected_size(const ChatRequest& request);

/// A JSON Schema that the application wrote. `place`: where it stands in the request, for the error.
[[nodiscard]] Result<nlohmann::ordered_json> read_schema(std::string_view text, std::string_view place);

/// Asks for the form of the answer in words, where the provider does not enforce it; null: any JSON object.
[[nodiscard]] std::string format_in_words(const nlohmann::ordered_json* schema);

/// The `arguments` of a call where they are JSON as text: as the application has them, or wrapped as
/// `arguments_to_json` does where they are no object, which many servers refuse.
void write_arguments(JsonWriter& json, std::string_view arguments);

[[nodiscard]] Error unknown_effort(std::string_view wanted);

/// The row of that name (`name`) in a wire's table of `reasoning_effort`.
template <class Row, std::size_t size>
[[nodiscard]] Result<const Row*> effort_of(const std::array<Row, size>& table, std::string_view wanted) {
  const auto row = std::find_if(table.begin(), table.end(), [wanted](const Row& one) { return one.name == wanted; });
  if (row == table.end()) return unknown_effort(wanted);
  return &*row;
}

}  // namespace backstop::inline v0::detail
