#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "backstop/chat/error_kind.hpp"
#include "providers/wire/repairs.hpp"

namespace backstop::inline v0::detail {

/// One thing that a provider says, and what it means.
struct ProviderQuirk {
  enum class Where : std::uint8_t {
    code,     ///< the code, type, status or reason is `pattern`, in any case
    prefix,   ///< one of them begins with it
    message,  ///< the message contains it, in any case (`pattern` is in lower case)
    param,    ///< it is the field of the request that is at fault
    status,   ///< the status alone, whatever is said with it; `pattern` is empty
  };

  std::string_view provider;  ///< empty: any
  int status;                 ///< 0: any
  Where where;
  std::string_view pattern;
  ErrorKind kind;
};

/// The only place where providers' codes and wordings are known, with what follows it here; the names of their headers
/// about limits stand in rate_limit_headers.cpp. The first row that fits decides, and a code is more
/// trustworthy than a wording: rows of codes stand before those of messages. Types that say nothing specific
/// (`invalid_request_error`, `api_error`) have no row here; the status decides then.
///
/// A refusal with 400 that is about a limit of this one model, or about what it cannot do, is not the request's fault:
/// another model may take it.
///
/// Source: the providers' API specifications, their SDKs' tables, and error bodies seen in the wild.
inline constexpr auto provider_quirks = [] {
  using Where = ProviderQuirk::Where;
  using enum ErrorKind;
  // clang-format off
  return std::to_array<ProviderQuirk>({
      // The same code, another meaning.
      {"openrouter", 402, Where::code, "in_flight_budget_exhausted", rate_limited},
      {"deepseek", 402, Where::code, "invalid_request_error", quota_exhausted},
      {"zai", 0, Where::code, "1000", authentication},
      {"zai", 0, Where::code, "1001", authentication},
      {"zai", 0, Where::code, "1002", authentication},
      {"zai", 0, Where::code, "1003", authentication},
      {"zai", 0, Where::code, "1004", authentication},
      {"zai", 0, Where::code, "1113", quota_exhausted},
      {"zai", 0, Where::code, "1308", quota_exhausted},
      {"zai", 0, Where::code, "1309", quota_exhausted},
      {"zai", 0, Where::code, "1302", rate_limited},
      {"zai", 0, Where::code, "1305", overloaded},
      {"zai", 0, Where::code, "1211", model_not_found},
      {"zai", 0, Where::code, "1212", unsupported_capability},
      {"zai", 0, Where::code, "1220", permission},
      {"zai", 0, Where::code, "1230", server_error},
      {"zai", 0, Where::code, "1234", server_error},
      {"zai", 0, Where::code, "1261", context_window_exceeded},
      {"zai", 0, Where::code, "1301", content_filtered},
      {"mistral", 0, Where::code, "1300", rate_limited},
      {"mistral", 0, Where::code, "3505", overloaded},
      {"mistral", 0, Where::code, "1500", model_not_found},
      {"mistral", 0, Where::code, "invalid_model", model_not_found},
      {"mistral", 0, Where::code, "3280", invalid_request},
      {"cloudflare", 0, Where::code, "3040", overloaded},
      {"cloudflare", 0, Where::code, "3006", context_window_exceeded},
      {"xai", 0, Where::prefix, "the service is currently unavailable", overloaded},
      {"groq", 0, Where::code, "tool_use_failed", malformed_response},
      {"google", 429, Where::message, "limit: 0,", quota_exhausted},   // an account has none of a quota
      {"google", 429, Where::message, "limit: 0\n", quota_exhausted},  // likewise

      // MiniMax's own codes, under a status of 200.
      {"", 0, Where::code, "base_resp/1002", rate_limited},
      {"", 0, Where::code, "base_resp/1039", rate_limited},
      {"", 0, Where::code, "base_resp/1041", rate_limited},
      {"", 0, Where::code, "base_resp/1004", authentication},
      {"", 0, Where::code, "base_resp/2049", authentication},
      {"", 0, Where::code, "base_resp/1008", quota_exhausted},
      {"", 0, Where::code, "base_resp/2056", quota_exhausted},
      {"", 0, Where::code, "base_resp/1026", content_filtered},
      {"", 0, Where::code, "base_resp/1027", content_filtered},
      {"", 0, Where::code, "base_resp/2013", invalid_request},

      // No money.
      {"", 0, Where::code, "insufficient_quota", quota_exhausted},
      {"", 0, Where::code, "credit_balance_exhausted", quota_exhausted},
      {"", 0, Where::code, "billing_hard_limit_reached", quota_exhausted},
      {"", 0, Where::code, "billing_not_active", quota_exhausted},
      {"", 0, Where::code, "billing_error", quota_exhausted},
      {"", 0, Where::code, "payment_required", quota_exhausted},
      {"", 0, Where::code, "exceeded_current_quota_error", quota_exhausted},
      {"", 0, Where::code, "quota_exhausted", quota_exhausted},
      {"", 0, Where::code, "INSUFFICIENT_G1_CREDITS_BALANCE", quota_exhausted},
      {"", 0, Where::code, "PrepaidBillOverdue", quota_exhausted},
      {"", 0, Where::code, "PostpaidBillOverdue", quota_exhausted},
      {"", 0, Where::code, "CommodityNotPurchased", quota_exhausted},
      {"", 0, Where::code, "Arrearage", quota_exhausted},
      {"", 0, Where::code, "AccessDenied.Unpurchased", quota_exhausted},
      {"", 0, Where::code, "AllocationQuota.FreeTierOnly", quota_exhausted},
      {"", 0, Where::code, "ServiceQuotaExceededException", quota_exhausted},
      {"", 0, Where::message, "per 86400s", quota_exhausted},

      // Too much at once. Before the rate limits: some servers send their overload with a code of those.
      {"", 0, Where::code, "overloaded_error", overloaded},
      {"", 0, Where::code, "overloaded", overloaded},
      {"", 0, Where::code, "engine_overloaded_error", overloaded},
      {"", 0, Where::code, "engine_overloaded", overloaded},
      {"", 0, Where::code, "service_tier_capacity_exceeded", overloaded},
      {"", 0, Where::code, "provider_overloaded", overloaded},
      {"", 0, Where::code, "provider_unavailable", overloaded},
      {"", 0, Where::code, "server_overloaded", overloaded},
      {"", 0, Where::code, "slow_down", overloaded},
      {"", 0, Where::code, "unavailable_error", overloaded},
      {"", 0, Where::code, "service_unavailable", overloaded},
      {"", 0, Where::code, "UNAVAILABLE", overloaded},
      {"", 0, Where::code, "MODEL_CAPACITY_EXHAUSTED", overloaded},
      {"", 0, Where::code, "MODEL_CAPACITY_EXCEEDED", overloaded},
      {"", 0, Where::code, "ModelNotReadyException", overloaded},
      {"", 0, Where::code, "ServiceUnavailableException", overloaded},
      {"", 0, Where::code, "rate_limit_exceeded", rate_limited},
      {"", 0, Where::code, "rate_limit_error", rate_limited},
      {"", 0, Where::code, "rate_limited", rate_limited},
      {"", 0, Where::code, "rate_limit_reached_error", rate_limited},
      {"", 0, Where::code, "RateLimitReached", rate_limited},
      {"", 0, Where::code, "too_many_requests", rate_limited},
      {"", 0, Where::code, "limit_requests", rate_limited},
      {"", 0, Where::code, "token_quota_exceeded", rate_limited},
      {"", 0, Where::prefix, "Throttling", rate_limited},
      {"", 429, Where::code, "RESOURCE_EXHAUSTED", rate_limited},

      // Who are you.
      {"", 0, Where::code, "invalid_api_key", authentication},
      {"", 0, Where::code, "authentication_error", authentication},
      {"", 0, Where::code, "invalid_authentication_error", authentication},
      {"", 0, Where::code, "InvalidApiKey", authentication},
      {"", 0, Where::code, "API_KEY_INVALID", authentication},
      {"", 0, Where::code, "UNAUTHENTICATED", authentication},
      {"", 0, Where::code, "UnrecognizedClientException", authentication},
      {"", 0, Where::code, "InvalidSignatureException", authentication},
      {"", 0, Where::code, "IncompleteSignatureException", authentication},
      {"", 0, Where::code, "SignatureDoesNotMatch", authentication},
      {"", 0, Where::code, "MissingAuthenticationTokenException", authentication},
      // Of API keys, whose class of errors is the one of missing permissions.
      {"bedrock", 403, Where::message, "make sure your api key is valid", authentication},
      {"bedrock", 403, Where::message, "bearer token has expired", authentication},
      {"", 0, Where::code, "ExpiredTokenException", authentication},
      {"", 0, Where::code, "permission_error", permission},
      {"", 0, Where::code, "permission_denied", permission},
      {"", 0, Where::code, "permission_denied_error", permission},
      {"", 0, Where::code, "PERMISSION_DENIED", permission},
      {"", 0, Where::code, "AccessDeniedException", permission},

      // Not this model, or not this much.
      {"", 0, Where::code, "model_not_found", model_not_found},
      {"", 0, Where::code, "not_found_error", model_not_found},
      {"", 0, Where::code, "resource_not_found_error", model_not_found},
      {"", 0, Where::code, "DeploymentNotFound", model_not_found},
      {"", 0, Where::code, "NotFoundError", model_not_found},
      {"", 0, Where::code, "NOT_FOUND", model_not_found},
      {"", 0, Where::code, "ResourceNotFoundException", model_not_found},
      {"", 0, Where::code, "model_decommissioned", model_not_found},
      {"", 0, Where::code, "context_length_exceeded", context_window_exceeded},
      {"", 0, Where::code, "exceed_context_size_error", context_window_exceeded},
      {"", 0, Where::code, "tokens_limit_reached", context_window_exceeded},
      {"", 0, Where::code, "token_limit_exceeded", context_window_exceeded},
      {"", 0, Where::code, "request_too_large", context_window_exceeded},
      {"", 0, Where::code, "payload_too_large", context_window_exceeded},
      {"", 0, Where::code, "too_many_prompt_tokens", context_window_exceeded},
      {"", 0, Where::code, "string_above_max_length", invalid_request},
      {"", 0, Where::code, "unsupported_parameter", unsupported_capability},
      {"", 0, Where::code, "unsupported_value", unsupported_capability},
      // OpenAI's Responses; encrypted reasoning of another organisation is refused by this one only.
      {"", 0, Where::code, "unsupported_file", unsupported_capability},
      {"", 0, Where::code, "unsupported_image_media_type", unsupported_capability},
      {"", 0, Where::code, "image_too_large", unsupported_capability},
      {"", 0, Where::code, "image_file_too_large", unsupported_capability},
      {"", 0, Where::code, "image_too_small", unsupported_capability},
      {"", 0, Where::code, "failed_to_download_image", unsupported_capability},
      {"", 0, Where::code, "invalid_encrypted_content", unsupported_capability},
      {"", 0, Where::code, "image_parse_error", invalid_request},
      {"", 0, Where::code, "invalid_base64_image", invalid_request},
      {"", 0, Where::code, "empty_image_file", invalid_request},
      {"", 0, Where::prefix, "invalid_image", invalid_request},

      // What may not be said.
      {"", 0, Where::code, "content_filter", content_filtered},
      {"", 0, Where::code, "content_policy_violation", content_filtered},
      {"", 0, Where::code, "ResponsibleAIPolicyViolation", content_filtered},
      {"", 0, Where::code, "invalid_prompt", content_filtered},
      {"", 0, Where::code, "bio_policy", content_filtered},
      {"", 0, Where::code, "image_content_policy_violation", content_filtered},
      {"", 0, Where::code, "DataInspectionFailed", content_filtered},
      {"", 0, Where::code, "data_inspection_failed", content_filtered},

      // It is them.
      {"", 0, Where::code, "tool_use_failed", malformed_response},
      {"", 0, Where::code, "timeout_error", server_error},
      {"", 0, Where::code, "DEADLINE_EXCEEDED", server_error},
      {"", 0, Where::code, "ModelErrorException", server_error},
      {"", 0, Where::code, "ModelStreamErrorException", server_error},
      {"", 0, Where::code, "InternalServerException", server_error},

      // Wordings, where the code says nothing.
      {"", 0, Where::message, "insufficient_quota", quota_exhausted},
      {"", 0, Where::message, "no credits remaining", quota_exhausted},
      {"", 0, Where::message, "credit balance is too low", quota_exhausted},
      {"", 0, Where::message, "insufficient balance", quota_exhausted},
      {"", 0, Where::message, "insufficient credits", quota_exhausted},
      {"", 0, Where::message, "spend limit reached", quota_exhausted},
      {"", 0, Where::message, "monthly spending limit", quota_exhausted},
      {"", 0, Where::message, "used all available credits", quota_exhausted},
      {"", 0, Where::message, "exceeded your monthly included credits", quota_exhausted},
      {"", 0, Where::message, "billing_hard_limit", quota_exhausted},
      {"", 0, Where::message, "daily free allocation of", quota_exhausted},
      {"", 0, Where::message, "\xE4\xBD\x99\xE9\xA2\x9D\xE4\xB8\x8D\xE8\xB6\xB3", quota_exhausted},
      {"", 403, Where::message, "quota", quota_exhausted},
      {"", 403, Where::message, "credit", quota_exhausted},
      {"", 403, Where::message, "billing", quota_exhausted},
      {"", 403, Where::message, "moderation", content_filtered},
      {"", 403, Where::message, "flagged", content_filtered},
      {"", 403, Where::message, "security token included in the request", authentication},
      {"", 429, Where::message, "overloaded", overloaded},
      {"", 429, Where::message, "over capacity", overloaded},
      {"", 429, Where::message, "capacity temporarily exceeded", overloaded},
      {"", 0, Where::message, "incorrect api key", authentication},
      {"", 0, Where::message, "invalid api key", authentication},
      {"", 0, Where::message, "api key not valid", authentication},
      {"", 0, Where::message, "invalid x-api-key", authentication},
      {"deepseek", 400, Where::message, "the supported api model names are", model_not_found},
      {"", 400, Where::message, "is not a valid model id", model_not_found},
      {"", 400, Where::message, "the provided model identifier is invalid", model_not_found},
      {"", 400, Where::message, "on-demand throughput isn", model_not_found},
      {"xai", 0, Where::message, "model not found", model_not_found},
      {"perplexity", 400, Where::message, "invalid model", model_not_found},
      {"", 0, Where::message, "content management policy", content_filtered},
      {"", 0, Where::message, "blocked by content filtering policy", content_filtered},
      {"", 0, Where::message, "violating our usage policy", content_filtered},
      {"", 0, Where::message, "rejected as a result of the safety system", content_filtered},
      {"", 0, Where::message, "exceed context limit", context_window_exceeded},
      {"", 0, Where::message, "maximum context length is", context_window_exceeded},
      {"", 0, Where::message, "maximum context limit", context_window_exceeded},
      {"", 0, Where::message, "exceeds the context window", context_window_exceeded},
      {"", 0, Where::message, "longer than the model's context length", context_window_exceeded},
      {"", 0, Where::message, "input length exceeds the context length", context_window_exceeded},  // Ollama
      {"", 0, Where::message, "input tokens exceed the configured limit", context_window_exceeded},
      {"", 0, Where::message, "`inputs` tokens + `max_new_tokens` must be", context_window_exceeded},
      {"", 0, Where::message, "exceeds the available context size", context_window_exceeded},
      {"", 0, Where::message, "exceeds the maximum number of tokens allowed", context_window_exceeded},
      {"", 0, Where::message, "exceed model maximum", context_window_exceeded},
      {"", 0, Where::message, "request payload size exceeds", context_window_exceeded},
      {"", 0, Where::message, "while limit is", context_window_exceeded},
      {"", 0, Where::message, "maximum input length is", context_window_exceeded},
      {"", 0, Where::message, "maximum prompt length is", context_window_exceeded},
      {"", 0, Where::message, "prompt is too long", context_window_exceeded},
      {"", 400, Where::message, "input is too long", context_window_exceeded},
      {"", 400, Where::message, "too many tokens", context_window_exceeded},
      {"", 0, Where::message, "too many input tokens", context_window_exceeded},
      {"", 0, Where::message, "prompt has too many tokens", context_window_exceeded},
      {"", 0, Where::message, "prompt token count of", context_window_exceeded},
      {"", 0, Where::message, "does not support assistant message prefill", unsupported_capability},
      {"", 400, Where::message, "does not support effort level", unsupported_capability},
      {"", 400, Where::message, "does not support chat", unsupported_capability},

      // A limit of this model, or something that it lacks: the field at fault where the provider names it, ...
      {"", 400, Where::param, "max_tokens", unsupported_capability},
      {"", 400, Where::param, "max_completion_tokens", unsupported_capability},
      {"", 400, Where::param, "max_output_tokens", unsupported_capability},
      {"", 400, Where::param, "response_format", unsupported_capability},
      {"", 400, Where::param, "tools", unsupported_capability},
      {"", 400, Where::param, "tool_choice", unsupported_capability},
      {"", 400, Where::param, "parallel_tool_calls", unsupported_capability},
      {"", 400, Where::param, "temperature", unsupported_capability},
      {"", 400, Where::param, "top_p", unsupported_capability},
      {"", 400, Where::param, "stop", unsupported_capability},
      {"", 400, Where::param, "reasoning_effort", unsupported_capability},
      {"", 400, Where::param, "stream_options", unsupported_capability},
      {"", 400, Where::param, "text.format", unsupported_capability},
      {"", 400, Where::param, "text.format.schema", unsupported_capability},
      {"", 400, Where::param, "reasoning", unsupported_capability},
      {"", 400, Where::param, "reasoning.effort", unsupported_capability},
      {"", 400, Where::param, "reasoning.summary", unsupported_capability},
      {"", 400, Where::param, "include", unsupported_capability},
      // ... else its words. The output limit:
      {"", 400, Where::message, "max_tokens is too large", unsupported_capability},
      {"", 400, Where::message, "max_completion_tokens is too large", unsupported_capability},
      {"", 400, Where::message, "maximum allowed number of output tokens", unsupported_capability},
      {"", 400, Where::message, "invalid max_tokens value", unsupported_capability},
      {"", 400, Where::message, "range of max_tokens", unsupported_capability},
      {"", 400, Where::message, "max_tokens must be", unsupported_capability},
      {"", 400, Where::message, "max_tokens` must be", unsupported_capability},
      {"", 400, Where::message, "maximum tokens you requested exceeds", unsupported_capability},
      // The form of the answer:
      {"", 400, Where::message, "response_format type is unavailable", unsupported_capability},
      {"", 400, Where::message, "does not support response format", unsupported_capability},
      {"", 400, Where::message, "response_format is not supported", unsupported_capability},
      {"", 400, Where::message, "response_format' is not supported", unsupported_capability},
      {"", 400, Where::message, "json mode is not supported", unsupported_capability},
      {"", 400, Where::message, "json mode is not enabled", unsupported_capability},
      {"", 400, Where::message, "does not support json", unsupported_capability},
      {"", 400, Where::message, "does not support structured output", unsupported_capability},
      // Tools:
      {"", 400, Where::message, "does not support tool", unsupported_capability},
      {"", 400, Where::message, "does not support function calling", unsupported_capability},
      {"", 400, Where::message, "tool choice requires", unsupported_capability},
      {"", 400, Where::message, "tool-call-parser", unsupported_capability},
      {"", 400, Where::message, "tool calling is not supported", unsupported_capability},
      {"", 400, Where::message, "tool calling` is not supported", unsupported_capability},
      {"", 400, Where::message, "tool use is not supported", unsupported_capability},
      {"", 400, Where::message, "tools are not supported", unsupported_capability},
      {"", 400, Where::message, "tools is not supported", unsupported_capability},
      // Images:
      {"", 400, Where::message, "image(s) may be provided", unsupported_capability},
      {"", 400, Where::message, "does not support image", unsupported_capability},
      {"", 400, Where::message, "does not support vision", unsupported_capability},
      {"", 400, Where::message, "images are not supported", unsupported_capability},
      {"", 400, Where::message, "image input is not supported", unsupported_capability},
      {"", 400, Where::message, "image_url is only supported by", unsupported_capability},
      {"", 400, Where::message, "unknown variant `image_url`", unsupported_capability},
      {"", 400, Where::message, "is not a multimodal model", unsupported_capability},
      // How the model is to choose its words:
      {"", 400, Where::message, "temperature must be", unsupported_capability},
      {"", 400, Where::message, "invalid temperature", unsupported_capability},
      {"", 400, Where::message, "temperature: range", unsupported_capability},
      {"", 400, Where::message, "does not support temperature", unsupported_capability},
      {"", 400, Where::message, "`temperature` and `top_p` cannot", unsupported_capability},
      {"", 400, Where::message, "top_p must be", unsupported_capability},
      {"", 400, Where::message, "invalid top_p", unsupported_capability},
      {"", 400, Where::message, "each stop sequence must", unsupported_capability},
      {"", 400, Where::message, "does not support stop", unsupported_capability},
      {"", 400, Where::message, "does not support thinking", unsupported_capability},
      {"", 400, Where::message, "does not support reasoning", unsupported_capability},
      // Anything else that only this model, or this server, does not take:
      {"", 400, Where::message, "this model does not support", unsupported_capability},
      {"", 400, Where::message, "this model doesn't support", unsupported_capability},
      {"", 400, Where::message, "not supported with this model", unsupported_capability},
      {"", 400, Where::message, "not supported by this model", unsupported_capability},
      {"", 400, Where::message, "not supported for this model", unsupported_capability},
      {"", 400, Where::message, "not supported by the model", unsupported_capability},
      // Within a stream there is no status that would say so.
      {"bedrock", 0, Where::code, "ValidationException", invalid_request},

      // Statuses that mean something else elsewhere. A lock that passes, by the SDKs of the three, which retry it:
      {"openai", 409, Where::status, "", server_error},
      {"azure", 409, Where::status, "", server_error},
      {"anthropic", 409, Where::status, "", server_error},
      {"cohere", 498, Where::status, "", authentication},  // InvalidTokenError of its SDK; Groq's is "flex capacity"
  });
  // clang-format on
}();

/// Headers that ask for a wait in milliseconds, finer than `retry-after`, in the order of trust.
inline constexpr std::array<std::string_view, 2> wait_headers_in_milliseconds{
    "retry-after-ms",       // OpenAI, Anthropic, Azure, Cohere: their SDKs
    "x-ms-retry-after-ms",  // Azure: Portkey's gateway
};

/// A header with a wait that counts where `retry-after` may speak of another limit, which is not used up.
struct RenewalHeader {
  std::string_view remaining;  ///< of the limit: used up when it says so
  std::string_view renewal;    ///< how long it takes to be whole again
};
/// Source: answers of Azure OpenAI whose `retry-after: 1` is about requests while the tokens are used up.
inline constexpr std::array renewal_headers{
    RenewalHeader{"x-ratelimit-remaining-tokens", "x-ratelimit-renewalperiod-tokens"},
};

/// What stands before the wait in a message, in lower case.
inline constexpr std::array<std::string_view, 5> wait_phrases{
    "try again in ",     // OpenAI, Groq, Azure
    "retry in ",         // Gemini: gemini-cli's table
    "try again after ",  // reports of users
    "retry after ",      // Azure
    "please wait ",      // GitHub Models
};

/// Words of a rate limit that no wait helps against: one request is larger than all that the limit allows. Both
/// in lower case, in one message. Source: OpenAI and Groq ("Request too large for model ... Limit 8000, Requested
/// 10098").
inline constexpr std::array<std::string_view, 2> larger_than_limit_words{"request too large", "requested"};

/// Where a provider writes its id of a request, in the order of trust.
inline constexpr std::array<std::string_view, 6> request_id_headers{
    "x-request-id",            // OpenAI and most that speak its wire
    "request-id",              // Anthropic
    "apim-request-id",         // Azure
    "x-amzn-requestid",        // Bedrock
    "mistral-correlation-id",  // Mistral
    "inference-id",            // Cerebras, Hugging Face's router
};

/// A field of a request that servers refuse by its name, and what is done about it.
struct RefusedField {
  std::string_view name;  ///< in lower case
  RepairSet repairs;
};

constexpr RepairSet set_of(Repair one) noexcept { return static_cast<RepairSet>(one); }

/// The fields under the names of all wires. Sources: the repairs of Vercel's and pydantic's adapters, and refusals that
/// users report: "Unsupported parameter: 'max_tokens' is not supported with this model" and "Unsupported value:
/// 'temperature' does not support 0.5" (OpenAI; param messages[0].role: "does not support 'developer'"), "Unrecognized
/// request argument supplied: top_k" (OpenAI, before 2025), "property 'top_k' is unsupported" (Groq), "temperature:
/// Extra inputs are not permitted" (Anthropic), loc ["body", "top_k"] with "Extra inputs are not permitted" (Mistral),
/// "Unknown name \"topK\": Cannot find field" and "Penalty is not enabled for this model" (Google), "Argument not
/// supported on this model: stop" (xAI).
inline constexpr std::array<RefusedField, 26> refused_fields{{
    {"temperature", set_of(Repair::temperature)},
    {"top_p", set_of(Repair::top_p)},
    {"topp", set_of(Repair::top_p)},
    {"top_k", set_of(Repair::top_k)},
    {"topk", set_of(Repair::top_k)},
    {"frequency_penalty", set_of(Repair::frequency_penalty)},
    {"frequencypenalty", set_of(Repair::frequency_penalty)},
    {"presence_penalty", set_of(Repair::presence_penalty)},
    {"presencepenalty", set_of(Repair::presence_penalty)},
    {"penalty", set_of(Repair::frequency_penalty) | set_of(Repair::presence_penalty)},
    {"seed", set_of(Repair::seed)},
    {"random_seed", set_of(Repair::seed)},
    {"stop", set_of(Repair::stop)},
    {"stop_sequences", set_of(Repair::stop)},
    {"stopsequences", set_of(Repair::stop)},
    {"service_tier", set_of(Repair::service_tier)},
    {"servicetier", set_of(Repair::service_tier)},
    {"reasoning_effort", set_of(Repair::reasoning_effort)},
    {"reasoning.effort", set_of(Repair::reasoning_effort)},
    {"parallel_tool_calls", set_of(Repair::parallel_tool_calls)},
    {"strict", set_of(Repair::strict)},
    {"stream_options", set_of(Repair::stream_options)},
    {"max_tokens", set_of(Repair::output_limit_name)},
    {"max_completion_tokens", set_of(Repair::output_limit_name)},
    {"messages[0].role", set_of(Repair::developer_role)},
    {"image_url.detail", set_of(Repair::image_detail)},
}};

/// Of servers that check requests by a type of theirs in which `image_url` is a string (pydantic and serde word it so).
inline constexpr std::array<std::string_view, 4> plain_image_words{"valid string", "must be a string",
                                                                   "should be a string", "expected a string"};

/// That a field is not taken, rather than that its value is wrong.
inline constexpr std::array<std::string_view, 4> refusing_codes{"unsupported_parameter", "unsupported_value",
                                                         "unknown_parameter", "extra_forbidden"};
inline constexpr std::array<std::string_view, 14> refusing_words{"unsupported parameter", "unsupported value",
                                                          "unrecognized request argument", "unknown parameter",
                                                          "unknown name", "unknown field", "unknown role",
                                                          "extra inputs are not permitted", "not supported",
                                                          "is unsupported", "does not support", "not enabled",
                                                          "is deprecated", "not permitted"};

/// Words of them that may also be about the one value that was sent.
inline constexpr std::array<std::string_view, 2> value_words{"unsupported value", "does not support"};
/// Whose other values may be taken: that these fields are refused must be said of the field.
inline constexpr RepairSet by_value = set_of(Repair::reasoning_effort) | set_of(Repair::service_tier);

}  // namespace backstop::inline v0::detail
