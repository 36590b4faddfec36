#pragma once

#include <cstdint>
#include <string_view>

namespace backstop::inline v0::detail {

/// Who made a model, where the makers' models differ on this wire.
enum class BedrockMaker : std::uint8_t { anthropic, amazon_nova, amazon_nova_2, openai, mistral, other };

/// By the model's name: an id, an inference profile (`us.anthropic.claude-...`) or an ARN that ends in one.
[[nodiscard]] BedrockMaker bedrock_maker(std::string_view model) noexcept;

/// Whether the model is known to be held to a schema: of its answer (`outputConfig`) and of its calls (`strict`).
[[nodiscard]] bool bedrock_enforces_schema(std::string_view model) noexcept;

}  // namespace backstop::inline v0::detail
