#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// The most that the text of a provider's own fields may be.
inline constexpr std::size_t longest_fields = 64 * 1024;
inline constexpr std::string_view longest_fields_text = "64 KiB";

/// Such fields as an object. Errors: `invalid_request`, with `place` in front, for what is too long, no JSON or no
/// object.
[[nodiscard]] Result<nlohmann::ordered_json> read_fields_text(std::string_view text, std::string_view place);

/// Lays them over a body, objects into objects. What both have is left as it is; the path of the first such field, and
/// empty where there is none.
[[nodiscard]] std::string add_fields(nlohmann::ordered_json& body, const nlohmann::ordered_json& fields);

}  // namespace backstop::inline v0::detail
