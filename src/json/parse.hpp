#pragma once

#include <cstddef>
#include <string_view>

#include <nlohmann/json.hpp>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// Deeper JSON is refused before it is parsed: writing it out again would recurse as deep.
inline constexpr std::size_t deepest_json = 500;

/// Under which the text stands that a model wrote in the place of a tool's arguments, where it is no JSON object.
inline constexpr const char* raw_arguments_key = "rawInvalidInput";

/// How deep arrays and objects are nested in the text, whether or not it is valid JSON.
[[nodiscard]] std::size_t nesting_of(std::string_view text) noexcept;

/// The text as JSON, or `invalid_request` with line, column and what was expected there. The message quotes nothing
/// of the text, which may hold a prompt.
[[nodiscard]] Result<nlohmann::ordered_json> parse_json(std::string_view text);
/// The same with the keys of objects sorted, for objects of thousands: the other one takes time by their square.
[[nodiscard]] Result<nlohmann::json> parse_sorted_json(std::string_view text);

}  // namespace backstop::inline v0::detail
