#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// What is particular to the Responses API.
struct ResponsesOptions {
  /// How detailed the visible reasoning of requests with a `reasoning_effort` is: auto, concise, detailed. Empty: none
  /// is asked for; OpenAI refuses to give it to organisations that are not verified.
  std::string reasoning_summary = "auto";
};

/// A model behind OpenAI's Responses API (`POST /v1/responses`), or a server that speaks it. With it OpenAI's reasoning
/// models keep what they thought over the turns of a conversation and show a summary of it, which the chat wire of
/// `openai` does not.
///
/// The target is `openai/<model>` unless `name` or `id` is given; in a client that has the same model over the chat wire
/// give it an `id` to tell the two apart. `name` may be a provider of `known_provider` whose server speaks this wire
/// (xai, openrouter, deepseek, lmstudio, ollama, vllm, ...): its address and the variable of its key are filled in. For
/// another server give `name` and `base_url`. Azure:
/// `.name = "azure", .base_url = "https://<resource>.openai.azure.com"`, the deployment as `model`, the key as with
/// `azure`.
///
/// - The server stores nothing (`store: false`): every request has the whole conversation.
/// - Reasoning comes back encrypted, as the signature of `Reasoning`, and goes along with later requests to the same
///   target only.
/// - System text in front of the conversation becomes `instructions`; later one stays in its place.
/// - A tool is held to its schema only if `strict` says so, as on the other wires.
/// - What a model refuses is changed or left out, with a note in the attempt's row: an output limit below 16 or above
///   the model's own, `stop`, `top_k`, `seed` and the penalties (the wire has none), `temperature` and `top_p` while
///   OpenAI's models reason.
/// - Calls of tools that the provider runs itself (search, code) are not listed; the text that comes of them is.
///
/// Errors: throws std::invalid_argument for options that cannot be right, such as an empty model. A missing key is an
/// error of the call (`authentication`).
///
/// Example: `openai_responses({.model = "gpt-5.6-sol"})`
[[nodiscard]] BACKSTOP_EXPORT Provider openai_responses(ModelOptions options, ResponsesOptions responses = {});

}  // namespace backstop::inline v0
