#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// What is particular to Anthropic's API.
struct AnthropicOptions {
  /// 2023-06-01, or 2026-10-21: with that the key is a bearer token, and `temperature` and `top_p`, which the API then
  /// refuses from any model, are left out with a note in the attempt's row.
  std::string api_version = "2023-06-01";
};

/// A model behind Anthropic's Messages API, or a server that speaks it (`base_url`).
///
/// The key is `api_key`, else the environment variable `api_key_env`, else ANTHROPIC_API_KEY, which a server of another
/// name and address does not get. `base_url` is https://api.anthropic.com unless given; requests go to `/v1/messages`
/// below it. The target is `anthropic/<model>` unless `name` is given.
///
/// - The wire demands an output limit: the request's `max_output_tokens`, else the model's own, else 4096.
/// - `reasoning_effort` becomes adaptive thinking with an effort, or a budget of thinking tokens on older models.
/// - A JSON schema becomes `output_config.format` where the model enforces it, elsewhere an instruction.
/// - What a model refuses is lowered or left out of its requests, with a note in the attempt's row: an output limit
///   above its own, a temperature above 1, blank stop sequences, sampling parameters on the newest models (and, without
///   a note, while thinking), `seed` and the penalties.
/// - Marks for the prompt cache (`Message::cache`) become `cache_control`, of five minutes.
///
/// Errors: throws std::invalid_argument for options that cannot be right, such as an empty model or a version that is
/// not one of these. A missing key is an error of the call (`authentication`). A request that the model cannot take
/// (`named` tool choice where calls cannot be forced, a document that is neither PDF nor text) is
/// `unsupported_capability`, before anything is sent.
///
/// Example: `auto claude = anthropic({.model = "claude-sonnet-5"});`
[[nodiscard]] BACKSTOP_EXPORT Provider anthropic(ModelOptions options, AnthropicOptions anthropic = {});

}  // namespace backstop::inline v0
