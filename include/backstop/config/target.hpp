#pragma once

#include <string_view>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// A model by its name alone, "provider/model", on whatever wire the provider speaks: the names that policy files
/// take, which are those of `known_provider`, anthropic, google, vertex, cohere, bedrock, ollama_native,
/// openai_responses and ccr (Claude Code Router).
/// The model may have slashes of its own.
///
/// A provider that is not known needs `base_url`, and speaks `wire`, OpenAI's Chat Completions where none is given; of
/// one that is known another wire can be named, with its address there. `name` and `model` of the options are not used.
///
/// Errors: throws std::invalid_argument for what is no such name, an unknown provider without an address, a wire that
/// is none, and as the provider's own factory does.
///
/// Example: `FallbackClient client{target("groq/llama-3.3-70b-versatile"), target("anthropic/claude-sonnet-5")};`
[[nodiscard]] BACKSTOP_EXPORT Provider target(std::string_view name, ModelOptions options = {},
                                              std::string_view wire = {});

}  // namespace backstop::inline v0
