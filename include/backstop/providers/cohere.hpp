#pragma once

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// A model behind Cohere's Chat API, version 2 (`/v2/chat`), or a server that speaks it (`base_url`).
///
/// The key is `api_key`, else the environment variable `api_key_env`, else CO_API_KEY, else COHERE_API_KEY; the last
/// two a server of another name and address does not get. `base_url` is https://api.cohere.com unless given; requests
/// go to `/v2/chat` below it, or to `/chat` where it ends with the version. The target is `cohere/<model>` unless
/// `name` is given.
///
/// - `reasoning_effort` becomes `thinking` with a budget of tokens; models that do not reason are not asked to. The
///   plan that comes before tool calls (`tool_plan`) is reasoning, too. Both go back to the same model only.
/// - A named tool choice offers that tool only, and demands a call. Tools are held to their schemas if all of them say
///   `strict`.
/// - A JSON schema becomes `response_format`; beside tools or documents, where the API takes none, an instruction.
///   Keywords that the API does not take move into the description.
/// - Documents are texts by their bytes; they go into the request's `documents`. Citations are not listed; the text
///   that they are about is.
/// - Usage is in tokens that the model read and wrote. Cohere bills fewer: not those of its own instructions, so that
///   costs are the most that a call can have cost.
/// - `top_p` is kept within 0.01 and 0.99, `top_k` within 500, the penalties within 0 and 1. There is no field for
///   `parallel_tool_calls = false` and for `metadata.user_id`: they are left out. Of more than five stop sequences the
///   first five are sent, with a note in the attempt's row.
///
/// Errors: throws std::invalid_argument for options that cannot be right, such as an empty model. A missing key is an
/// error of the call (`authentication`). A document that is no text is `unsupported_capability`, before anything is
/// sent.
///
/// Example: `auto command = cohere({.model = "command-a-03-2025"});`
[[nodiscard]] BACKSTOP_EXPORT Provider cohere(ModelOptions options);

}  // namespace backstop::inline v0
