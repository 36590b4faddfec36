#pragma once

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// A model behind Google's Gemini API (`generateContent`), or a server that speaks it (`base_url`).
///
/// The key is `api_key`, else the environment variable `api_key_env`, else GOOGLE_API_KEY, else GEMINI_API_KEY; the
/// last two a server of another name and address does not get. `base_url` is
/// https://generativelanguage.googleapis.com unless given; requests go to `/v1beta/models/` below it, or to `/models/`
/// where it ends with a version. The target is `google/<model>` unless `name` is given.
///
/// - `reasoning_effort` becomes a thinking level, or a budget of thinking tokens on 2.5; what cannot be turned off is
///   asked for the least. Proofs of reasoning (thought signatures) go back to Google only, on the part that they came
///   with; a call that another provider's model made says that it has none.
/// - A JSON schema becomes `responseJsonSchema`; beside tools, on models before 3, an instruction. Keywords that the
///   API does not take move into the description.
/// - Models from 2.5 on refuse the penalties: they are left out, with a note in the attempt's row.
/// - There is no field for `parallel_tool_calls = false` and for `metadata.user_id`: they are left out. Of more than
///   five stop sequences the first five are sent, with a note in the attempt's row.
///
/// Errors: throws std::invalid_argument for options that cannot be right, such as an empty model. A missing key is an
/// error of the call (`authentication`).
///
/// Example: `auto flash = gemini({.model = "gemini-3.5-flash"});`
[[nodiscard]] BACKSTOP_EXPORT Provider gemini(ModelOptions options);

}  // namespace backstop::inline v0
