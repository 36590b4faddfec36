#pragma once

#include <nlohmann/json_fwd.hpp>

namespace backstop::inline v0::detail {

/// A JSON Schema without what Anthropic's constrained decoding refuses: objects are closed, and constraints that it
/// lacks move into the description, where the model still reads them.
[[nodiscard]] nlohmann::ordered_json anthropic_schema(const nlohmann::ordered_json& schema);

}  // namespace backstop::inline v0::detail
