#pragma once

#include <string_view>

#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

/// Facts on models that come with the library: list prices in USD, context windows, output limits, capabilities.
///
/// Prices are those of on-demand calls, without batch, priority or regional rates, as published when the data was
/// gathered (`catalog_date`). They change: give a target its own `ModelFacts` where they matter.
namespace backstop::inline v0 {

/// The day on which the data was gathered, as YYYY-MM-DD.
///
/// Source: models.dev (2026-07-02) and pydantic/genai-prices (2026-08-21), both under the MIT licence.
inline constexpr std::string_view catalog_date = "2026-11-22";

/// What is known about a provider's model; nothing where it is not in the catalogue, with the capabilities that
/// `Capabilities` has by default. A capability that the sources do not state keeps its default too.
///
/// The provider goes by its name here (`gemini`, `bedrock`, `together`, `moonshot`, `qwen`) or by that of models.dev
/// (`google`, `amazon-bedrock`, `togetherai`, `moonshotai`, `alibaba`). Models of `vertex` are taken for Google's and
/// Anthropic's own, whose prices they have in the location `global`. The model is looked up as it is written, then
/// - without `models/` before it (Gemini),
/// - without `@` and what follows it (Vertex AI),
/// - without a date or a revision after it (`-2024-11-20`, `-20250929`, `-001`), which may have had another price,
/// - without `-latest`, or with the newest date in its place (`mistral-large-latest`).
///
/// Thread safety: any number of threads. Cost: two binary searches at most for a name as it is written; no allocation.
[[nodiscard]] BACKSTOP_EXPORT ModelFacts facts_for(std::string_view provider, std::string_view model) noexcept;

/// The same for a target's provider and model.
[[nodiscard]] BACKSTOP_EXPORT ModelFacts facts_for(const Target& target) noexcept;

}  // namespace backstop::inline v0
