#pragma once

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// A model in Ollama, over its own API (`/api/chat`). Unlike its OpenAI-compatible one, which `ollama` uses, it takes
/// the size of the window, and does not cut a conversation that is too long.
///
/// `base_url` is http://localhost:11434 unless given; requests go to `/api/chat` below it, or to `/chat` where it ends
/// with `/api`. No key is needed; one that is given is sent, as Ollama's cloud wants it:
/// `.api_key_env = "OLLAMA_API_KEY", .base_url = "https://ollama.com"`. The target is `ollama/<model>` unless `name` is
/// given.
///
/// - `context_window` is what the model is loaded with (`num_ctx`); without it the server's own size holds. What does
///   not fit is an error of the call: neither the conversation nor the answer is shortened unseen.
/// - `reasoning_effort` turns thinking on and off; gpt-oss gets a level, and cannot do without.
/// - A JSON schema becomes `format`; beside tools, whose calls it would prevent, an instruction.
/// - Images go by their bytes. The order in which parts of a turn stand is lost: the wire has text and images apart.
/// - A tool choice of `none` offers no tools. There is no field for `parallel_tool_calls = false` and for
///   `metadata.user_id`: they are left out.
///
/// Errors: throws std::invalid_argument for options that cannot be right, such as an empty model. What the wire cannot
/// say (that a tool must be called, an image by its address, a document) is `unsupported_capability`, before anything
/// is sent.
///
/// Example: `auto local = ollama_native({.model = "qwen3", .context_window = 32'768});`
[[nodiscard]] BACKSTOP_EXPORT Provider ollama_native(ModelOptions options);

}  // namespace backstop::inline v0
