#pragma once

#include <optional>
#include <string_view>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

/// Models behind OpenAI's Chat Completions, the wire that most servers speak.
///
/// Errors: all of these throw std::invalid_argument for options that cannot be right: an empty model or name, an
/// address that is not http(s)://host, headers that cannot be sent. A missing key is an error of the call
/// (`authentication`, saying which variable to set), so that a client can be put together without it.
///
/// What a target is known to refuse is lowered, cut or left out, with a note in the attempt's row: an output limit
/// above the model's own, a temperature outside its range, stop sequences that are empty or too many, `top_k` and a
/// `service_tier` where the provider has none; at OpenAI's reasoning models (o-series, GPT-5 and later) `temperature`
/// and `top_p` while they reason, the penalties, and `stop`. Reasoning of earlier turns is sent back only to the target
/// that it came from.
///
/// What a server itself refuses by name is left out as well, or written in its other way (`max_completion_tokens` for
/// `max_tokens`): the request is sent once more with that, and the target asked so from then on. Where
/// `retry({.max_attempts = 1})` allows one send, only later requests are.
namespace backstop::inline v0 {

/// A model at OpenAI. Key: OPENAI_API_KEY.
///
/// Example: `openai({.model = "gpt-5.6-sol"})`
[[nodiscard]] BACKSTOP_EXPORT Provider openai(ModelOptions options);

/// A model at any server that speaks this wire; `name` and `base_url` are needed. The key is sent when there is one:
/// without `api_key` and `api_key_env` none is needed, unless `name` is a known provider's.
///
/// Example: `openai_compatible({.model = "qwen3", .base_url = "http://gpu-box:8000/v1", .name = "vllm"})`
[[nodiscard]] BACKSTOP_EXPORT Provider openai_compatible(ModelOptions options);

/// A model in Ollama on this machine, or at `base_url` (without the `/v1`, as Ollama's own documentation has it).
/// No key is needed; one that is given is sent.
///
/// Example: `ollama({.model = "llama3.2"})`
[[nodiscard]] BACKSTOP_EXPORT Provider ollama(ModelOptions options);

/// A model at a provider that is known by its name and speaks this wire: openai, azure (as `azure` does it), groq,
/// mistral, deepseek, openrouter, xai, together, fireworks, cerebras, perplexity, moonshot, moonshot-cn, zai, zhipu,
/// qwen, qwen-cn, deepinfra, nvidia, sambanova, huggingface, github, copilot, nebius, novita, vercel, portkey, litellm,
/// baseten, siliconflow, siliconflow-cn, volcengine, stepfun, modelscope, xiaomi, cloudflare (with its `base_url`),
/// upstage, scaleway, friendli, poe, llama, ovhcloud, ollama-cloud, ollama, lmstudio, llamacpp, vllm. Its address and
/// the variable of its key are filled in. Empty for other names. `target` takes names of all wires.
///
/// Example: `known_provider("groq", {.model = "llama-3.3-70b-versatile"})`
[[nodiscard]] BACKSTOP_EXPORT std::optional<Provider> known_provider(std::string_view name, ModelOptions options);

}  // namespace backstop::inline v0
