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
/// Where a row comes from stands behind it or, for several, above them (`Source`): a page of the provider's
/// documentation, a specification, a file of an SDK, server or other adapter, a thread (`owner/repository#number`), or
/// a repository among whose tests such an answer is recorded ("recorded by"). The other tables of what foreigners write
/// do the same; tests/checks/quirks.py watches them.
inline constexpr auto provider_quirks = [] {
  using Where = ProviderQuirk::Where;
  using enum ErrorKind;
  // clang-format off
  return std::to_array<ProviderQuirk>({
      // The same code, another meaning.
      {"openrouter", 402, Where::code, "in_flight_budget_exhausted", rate_limited},  // OpenRouter docs, errors
      {"deepseek", 402, Where::code, "invalid_request_error", quota_exhausted},  // Aider-AI/aider#4851
      // Source: docs of Z.ai and of bigmodel.cn, API error codes
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
      {"mistral", 0, Where::code, "1300", rate_limited},  // raycast/extensions#31107
      {"mistral", 0, Where::code, "3505", overloaded},  // Mistral; seen in the field, no public page
      // Source: tmc/langchaingo#1233
      {"mistral", 0, Where::code, "1500", model_not_found},
      {"mistral", 0, Where::code, "invalid_model", model_not_found},
      {"mistral", 0, Where::code, "3280", invalid_request},  // nearai/ironclaw#1241
      // Source: Cloudflare Workers AI docs, errors
      {"cloudflare", 0, Where::code, "3040", overloaded},
      {"cloudflare", 0, Where::code, "3006", context_window_exceeded},
      // Source: vercel/ai, xai-chat-language-model.ts
      {"xai", 0, Where::prefix, "the service is currently unavailable", overloaded},
      {"groq", 0, Where::code, "tool_use_failed", malformed_response},  // recorded by pydantic/pydantic-ai
      // Source: gemini-cli, googleQuotaErrors.ts; of accounts that have none of a quota
      {"google", 429, Where::message, "limit: 0,", quota_exhausted},
      {"google", 429, Where::message, "limit: 0\n", quota_exhausted},

      // MiniMax's own codes, under a status of 200.
      // Source: MiniMax docs, error codes
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
      {"", 0, Where::code, "billing_hard_limit_reached", quota_exhausted},  // bajrangCoder/acode-plugin-chatgpt#19
      {"", 0, Where::code, "billing_not_active", quota_exhausted},  // BerriAI/litellm#2743
      {"", 0, Where::code, "billing_error", quota_exhausted},  // Anthropic docs, errors
      {"", 0, Where::code, "payment_required", quota_exhausted},  // OpenRouter SDK, ApiErrorType
      {"", 0, Where::code, "exceeded_current_quota_error", quota_exhausted},  // Kimi docs, API errors
      {"", 0, Where::message, "per 86400s", quota_exhausted},  // GitHub Models; seen in the field, no public page
      // Source: OpenAI docs, error codes
      {"", 0, Where::code, "insufficient_quota", quota_exhausted},
      {"", 0, Where::code, "credit_balance_exhausted", quota_exhausted},
      // Source: gemini-cli, googleQuotaErrors.ts
      {"", 0, Where::code, "quota_exhausted", quota_exhausted},
      {"", 0, Where::code, "INSUFFICIENT_G1_CREDITS_BALANCE", quota_exhausted},
      // Source: Alibaba Model Studio docs, error codes
      {"", 0, Where::code, "PrepaidBillOverdue", quota_exhausted},
      {"", 0, Where::code, "PostpaidBillOverdue", quota_exhausted},
      {"", 0, Where::code, "CommodityNotPurchased", quota_exhausted},
      {"", 0, Where::code, "Arrearage", quota_exhausted},
      {"", 0, Where::code, "AccessDenied.Unpurchased", quota_exhausted},
      {"", 0, Where::code, "AllocationQuota.FreeTierOnly", quota_exhausted},
      // Source: botocore, bedrock-runtime's service-2.json
      {"", 0, Where::code, "ServiceQuotaExceededException", quota_exhausted},

      // Too much at once. Before the rate limits: some servers send their overload with a code of those.
      {"", 0, Where::code, "overloaded_error", overloaded},  // Anthropic docs, errors
      {"", 0, Where::code, "engine_overloaded_error", overloaded},  // Kimi docs, API errors
      {"", 0, Where::code, "service_tier_capacity_exceeded", overloaded},  // Mistral; seen in the field, no public page
      {"", 0, Where::code, "slow_down", overloaded},  // OpenAI docs, error codes
      {"", 0, Where::code, "server_is_overloaded", overloaded},  // Wei-Shaw/sub2api#5909
      {"", 0, Where::code, "unavailable_error", overloaded},  // llama.cpp server, format_error_response()
      {"", 0, Where::code, "UNAVAILABLE", overloaded},  // googleapis, google/rpc/code.proto
      {"", 0, Where::code, "MODEL_CAPACITY_EXHAUSTED", overloaded},  // google-gemini/gemini-cli#23520
      {"", 0, Where::code, "MODEL_CAPACITY_EXCEEDED", overloaded},  // gemini-cli, googleQuotaErrors.ts
      // Source: seen in the field, no public page
      {"", 0, Where::code, "overloaded", overloaded},
      {"", 0, Where::code, "engine_overloaded", overloaded},
      {"", 0, Where::code, "server_overloaded", overloaded},
      {"", 0, Where::code, "service_unavailable", overloaded},
      // Source: OpenRouter SDK, ApiErrorType
      {"", 0, Where::code, "provider_overloaded", overloaded},
      {"", 0, Where::code, "provider_unavailable", overloaded},
      // Source: botocore, bedrock-runtime's service-2.json
      {"", 0, Where::code, "ModelNotReadyException", overloaded},
      {"", 0, Where::code, "ServiceUnavailableException", overloaded},
      {"", 0, Where::code, "rate_limit_exceeded", rate_limited},  // OpenAI docs, error codes
      {"", 0, Where::code, "rate_limit_error", rate_limited},  // Anthropic docs, errors
      {"", 0, Where::code, "rate_limited", rate_limited},  // raycast/extensions#31107
      {"", 0, Where::code, "rate_limit_reached_error", rate_limited},  // Kimi docs, API errors
      {"", 0, Where::code, "RateLimitReached", rate_limited},  // GitHub Models; seen in the field, no public page
      {"", 429, Where::code, "RESOURCE_EXHAUSTED", rate_limited},  // googleapis, google/rpc/code.proto
      // Source: seen in the field, no public page
      {"", 0, Where::code, "too_many_requests", rate_limited},
      {"", 0, Where::code, "token_quota_exceeded", rate_limited},
      // Source: Alibaba Model Studio docs, error codes
      {"", 0, Where::code, "limit_requests", rate_limited},
      {"", 0, Where::prefix, "Throttling", rate_limited},

      // Who are you.
      {"", 0, Where::code, "invalid_api_key", authentication},  // OpenAI docs, error codes
      {"", 0, Where::code, "authentication_error", authentication},  // Anthropic docs, errors
      // Source: Kimi docs, API errors
      {"", 0, Where::code, "invalid_authentication_error", authentication},
      {"", 0, Where::code, "incorrect_api_key_error", authentication},
      {"", 0, Where::code, "InvalidApiKey", authentication},  // Alibaba Model Studio docs, error codes
      {"", 0, Where::code, "API_KEY_INVALID", authentication},  // googleapis, google/api/error_reason.proto
      {"", 0, Where::code, "UNAUTHENTICATED", authentication},  // googleapis, google/rpc/code.proto
      {"", 0, Where::code, "UnrecognizedClientException", authentication},  // recorded by crmne/ruby_llm
      // Source: AWS docs, common errors of all services
      {"", 0, Where::code, "InvalidSignatureException", authentication},
      {"", 0, Where::code, "IncompleteSignatureException", authentication},
      {"", 0, Where::code, "SignatureDoesNotMatch", authentication},
      {"", 0, Where::code, "MissingAuthenticationTokenException", authentication},
      // Of API keys, whose class of errors is the one of missing permissions.
      {"bedrock", 403, Where::message, "make sure your api key is valid", authentication},  // anomalyco/opencode#47073
      {"", 0, Where::code, "ExpiredTokenException", authentication},  // AWS docs, common errors of all services
      // Source: litellm, tests of its AnthropicExceptionMapping
      {"bedrock", 403, Where::message, "bearer token has expired", authentication},
      {"", 0, Where::code, "permission_error", permission},  // Anthropic docs, errors
      {"", 0, Where::code, "permission_denied", permission},  // OpenRouter SDK, ApiErrorType
      {"", 0, Where::code, "permission_denied_error", permission},  // Kimi docs, API errors
      {"", 0, Where::code, "PERMISSION_DENIED", permission},  // googleapis, google/rpc/code.proto
      {"", 0, Where::code, "AccessDeniedException", permission},  // botocore, bedrock-runtime's service-2.json

      // Not this model, or not this much.
      {"", 0, Where::code, "model_not_found", model_not_found},  // recorded by pydantic/pydantic-ai
      {"", 0, Where::code, "not_found_error", model_not_found},  // Anthropic docs, errors
      {"", 0, Where::code, "resource_not_found_error", model_not_found},  // Kimi docs, API errors
      {"", 0, Where::code, "DeploymentNotFound", model_not_found},  // litellm, exception_mapping_utils.py
      {"", 0, Where::code, "NotFoundError", model_not_found},  // vLLM, serving_models.py
      {"", 0, Where::code, "NOT_FOUND", model_not_found},  // googleapis, google/rpc/code.proto
      {"", 0, Where::code, "ResourceNotFoundException", model_not_found},  // botocore, bedrock-runtime's service-2.json
      {"", 0, Where::code, "model_decommissioned", model_not_found},  // ItzCrazyKns/Vane#771
      {"", 0, Where::code, "tokens_limit_reached", context_window_exceeded},  // Aider-AI/aider#2296
      {"", 0, Where::code, "request_too_large", context_window_exceeded},  // Anthropic docs, errors
      {"", 0, Where::code, "too_many_prompt_tokens", context_window_exceeded},  // recorded by crmne/ruby_llm
      // Source: OpenRouter SDK, ApiErrorType
      {"", 0, Where::code, "context_length_exceeded", context_window_exceeded},
      {"", 0, Where::code, "token_limit_exceeded", context_window_exceeded},
      {"", 0, Where::code, "payload_too_large", context_window_exceeded},
      // Source: llama.cpp server, format_error_response()
      {"", 0, Where::code, "exceed_context_size_error", context_window_exceeded},
      {"", 0, Where::code, "string_above_max_length", invalid_request},  // litellm, exception_mapping_utils.py
      {"", 0, Where::code, "unsupported_parameter", unsupported_capability},  // recorded by crewAIInc/crewAI
      {"", 0, Where::code, "unsupported_value", unsupported_capability},  // recorded by pydantic/pydantic-ai
      // OpenAI's Responses; encrypted reasoning of another organisation is refused by this one only.
      {"", 0, Where::code, "unsupported_file", unsupported_capability},  // recorded by pydantic/pydantic-ai
      {"", 0, Where::code, "invalid_encrypted_content", unsupported_capability},  // litellm, exception_mapping_utils.py
      // Source: OpenAI API specification, ResponseErrorCode
      {"", 0, Where::code, "unsupported_image_media_type", unsupported_capability},
      {"", 0, Where::code, "image_too_large", unsupported_capability},
      {"", 0, Where::code, "image_file_too_large", unsupported_capability},
      {"", 0, Where::code, "image_too_small", unsupported_capability},
      {"", 0, Where::code, "failed_to_download_image", unsupported_capability},
      {"", 0, Where::code, "image_parse_error", invalid_request},
      {"", 0, Where::code, "invalid_base64_image", invalid_request},
      {"", 0, Where::code, "empty_image_file", invalid_request},
      {"", 0, Where::prefix, "invalid_image", invalid_request},

      // What may not be said.
      {"", 0, Where::code, "content_policy_violation", content_filtered},  // litellm, exception_mapping_utils.py
      // Source: recorded by traceloop/openllmetry
      {"", 0, Where::code, "content_filter", content_filtered},
      {"", 0, Where::code, "ResponsibleAIPolicyViolation", content_filtered},
      // Source: OpenAI API specification, ResponseErrorCode
      {"", 0, Where::code, "invalid_prompt", content_filtered},
      {"", 0, Where::code, "bio_policy", content_filtered},
      {"", 0, Where::code, "image_content_policy_violation", content_filtered},
      // Source: Alibaba Model Studio docs, error codes
      {"", 0, Where::code, "DataInspectionFailed", content_filtered},
      {"", 0, Where::code, "data_inspection_failed", content_filtered},

      // It is them.
      {"", 0, Where::code, "tool_use_failed", malformed_response},  // recorded by pydantic/pydantic-ai
      {"", 0, Where::code, "timeout_error", server_error},  // anthropic-sdk-python, types/shared/error_type.py
      {"", 0, Where::code, "DEADLINE_EXCEEDED", server_error},  // googleapis, google/rpc/code.proto
      // Source: botocore, bedrock-runtime's service-2.json
      {"", 0, Where::code, "ModelErrorException", server_error},
      {"", 0, Where::code, "ModelStreamErrorException", server_error},
      {"", 0, Where::code, "InternalServerException", server_error},

      // Wordings, where the code says nothing.
      {"", 0, Where::message, "credit balance is too low", quota_exhausted},  // anthropics/claude-code#66297
      {"", 0, Where::message, "insufficient balance", quota_exhausted},  // Aider-AI/aider#4851
      {"", 0, Where::message, "insufficient credits", quota_exhausted},  // open-assistant-org/open-assistant#80
      {"", 0, Where::message, "daily free allocation of", quota_exhausted},  // Cloudflare Workers AI docs, errors
      {"", 403, Where::message, "credit", quota_exhausted},  // Anantys-oss/koan#2412
      // Source: seen in the field, no public page
      {"", 0, Where::message, "insufficient_quota", quota_exhausted},
      {"", 0, Where::message, "no credits remaining", quota_exhausted},
      {"", 0, Where::message, "spend limit reached", quota_exhausted},
      {"", 0, Where::message, "billing_hard_limit", quota_exhausted},
      {"", 403, Where::message, "quota", quota_exhausted},
      {"", 403, Where::message, "billing", quota_exhausted},
      // Source: continuedev/continue#10373
      {"", 0, Where::message, "monthly spending limit", quota_exhausted},
      {"", 0, Where::message, "used all available credits", quota_exhausted},
      // Source: huggingface/agents-course#386
      {"", 0, Where::message, "exceeded your monthly included credits", quota_exhausted},
      // Source: continuedev/continue#11823
      {"", 0, Where::message, "\xE4\xBD\x99\xE9\xA2\x9D\xE4\xB8\x8D\xE8\xB6\xB3", quota_exhausted},
      // Source: OpenRouter docs, errors
      {"", 403, Where::message, "moderation", content_filtered},
      {"", 403, Where::message, "flagged", content_filtered},
      // Source: litellm, exception_mapping_utils.py
      {"", 403, Where::message, "security token included in the request", authentication},
      {"", 429, Where::message, "overloaded", overloaded},  // MoonshotAI/MoonshotAI-Cookbook#16
      {"", 429, Where::message, "over capacity", overloaded},  // infiniflow/ragflow#9858
      // Source: Cloudflare; seen in the field, no public page
      {"", 429, Where::message, "capacity temporarily exceeded", overloaded},
      {"", 0, Where::message, "incorrect api key", authentication},  // recorded by crmne/ruby_llm
      {"", 0, Where::message, "invalid api key", authentication},  // recorded by 0xPlaygrounds/rig
      {"", 0, Where::message, "api key not valid", authentication},  // litellm, exception_mapping_utils.py
      {"", 0, Where::message, "invalid x-api-key", authentication},  // open-webui/pipelines#145
      {"", 400, Where::message, "on-demand throughput isn", model_not_found},  // stackblitz-labs/bolt.diy#1102
      {"xai", 0, Where::message, "model not found", model_not_found},  // seen in the field, no public page
      {"perplexity", 400, Where::message, "invalid model", model_not_found},  // BerriAI/litellm#908
      // Source: recorded by 0xPlaygrounds/rig
      {"deepseek", 400, Where::message, "the supported api model names are", model_not_found},
      {"", 400, Where::message, "is not a valid model id", model_not_found},
      // Source: recorded by pydantic/pydantic-ai
      {"", 400, Where::message, "the provided model identifier is invalid", model_not_found},
      {"", 0, Where::message, "content management policy", content_filtered},  // recorded by traceloop/openllmetry
      {"", 0, Where::message, "blocked by content filtering policy", content_filtered},  // anthropics/claude-code#6195
      // Source: litellm, exception_mapping_utils.py
      {"", 0, Where::message, "violating our usage policy", content_filtered},
      {"", 0, Where::message, "rejected as a result of the safety system", content_filtered},
      {"", 0, Where::message, "exceed context limit", context_window_exceeded},
      {"", 0, Where::message, "maximum context length is", context_window_exceeded},
      {"", 0, Where::message, "maximum context limit", context_window_exceeded},
      {"", 0, Where::message, "longer than the model's context length", context_window_exceeded},
      {"", 0, Where::message, "input tokens exceed the configured limit", context_window_exceeded},
      {"", 0, Where::message, "`inputs` tokens + `max_new_tokens` must be", context_window_exceeded},
      {"", 0, Where::message, "exceeds the available context size", context_window_exceeded},
      {"", 0, Where::message, "exceeds the maximum number of tokens allowed", context_window_exceeded},
      {"", 0, Where::message, "exceed model maximum", context_window_exceeded},
      {"", 0, Where::message, "request payload size exceeds", context_window_exceeded},
      {"", 0, Where::message, "while limit is", context_window_exceeded},
      {"", 0, Where::message, "maximum input length is", context_window_exceeded},
      {"", 0, Where::message, "prompt is too long", context_window_exceeded},
      {"", 400, Where::message, "input is too long", context_window_exceeded},
      {"", 400, Where::message, "too many tokens", context_window_exceeded},
      {"", 0, Where::message, "too many input tokens", context_window_exceeded},
      {"", 0, Where::message, "prompt has too many tokens", context_window_exceeded},
      // Source: earendil-works/pi, overflow.ts
      {"", 0, Where::message, "exceeds the context window", context_window_exceeded},
      {"", 0, Where::message, "maximum prompt length is", context_window_exceeded},
      {"", 0, Where::message, "prompt token count of", context_window_exceeded},
      // Source: nano-step/nano-brain#208
      {"", 0, Where::message, "input length exceeds the context length", context_window_exceeded},
      {"", 400, Where::message, "does not support chat", unsupported_capability},  // Ollama, server/routes.go
      // Source: smallmain/vscode-unify-chat-provider#249
      {"", 0, Where::message, "does not support assistant message prefill", unsupported_capability},
      // Source: recorded by pydantic/pydantic-ai
      {"", 400, Where::message, "does not support effort level", unsupported_capability},

      // A limit of this model, or something that it lacks: the field at fault where the provider names it, ...
      // Source: OpenAI API specification, Error: its `param` is a field of the request
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
      {"", 400, Where::message, "max_tokens is too large", unsupported_capability},  // tailcallhq/forgecode#1185
      {"", 400, Where::message, "invalid max_tokens value", unsupported_capability},  // deepseek-ai/DeepSeek-V3#69
      {"", 400, Where::message, "range of max_tokens", unsupported_capability},  // open-webui/open-webui#10507
      {"", 400, Where::message, "max_tokens must be", unsupported_capability},  // vLLM, sampling_params.py
      {"", 400, Where::message, "max_tokens` must be", unsupported_capability},  // anomalyco/opencode#1000
      // Source: seen in the field, no public page
      {"", 400, Where::message, "max_completion_tokens is too large", unsupported_capability},
      // Source: OpenHands/OpenHands#11090
      {"", 400, Where::message, "maximum allowed number of output tokens", unsupported_capability},
      // Source: charmbracelet/crush#946
      {"", 400, Where::message, "maximum tokens you requested exceeds", unsupported_capability},
      // The form of the answer:
      {"", 400, Where::message, "response_format type is unavailable", unsupported_capability},  // ItzCrazyKns/Vane#969
      {"", 400, Where::message, "does not support response format", unsupported_capability},  // ItzCrazyKns/Vane#980
      {"", 400, Where::message, "json mode is not supported", unsupported_capability},  // egoist/chatwise-releases#141
      // Source: seen in the field, no public page
      {"", 400, Where::message, "response_format is not supported", unsupported_capability},
      {"", 400, Where::message, "response_format' is not supported", unsupported_capability},
      {"", 400, Where::message, "does not support json", unsupported_capability},
      {"", 400, Where::message, "does not support structured output", unsupported_capability},
      // Source: google-gemini/deprecated-generative-ai-python#137
      {"", 400, Where::message, "json mode is not enabled", unsupported_capability},
      // Tools:
      {"", 400, Where::message, "does not support tool", unsupported_capability},  // ollama/ollama#6027
      {"", 400, Where::message, "tool calling is not supported", unsupported_capability},  // truefoundry/models#1300
      {"", 400, Where::message, "tools is not supported", unsupported_capability},  // sbintuitions/flexeval#242
      // Source: seen in the field, no public page
      {"", 400, Where::message, "does not support function calling", unsupported_capability},
      {"", 400, Where::message, "tool calling` is not supported", unsupported_capability},
      {"", 400, Where::message, "tool use is not supported", unsupported_capability},
      {"", 400, Where::message, "tools are not supported", unsupported_capability},
      // Source: vllm-project/vllm#9986
      {"", 400, Where::message, "tool choice requires", unsupported_capability},
      {"", 400, Where::message, "tool-call-parser", unsupported_capability},
      // Images:
      {"", 400, Where::message, "image(s) may be provided", unsupported_capability},  // vLLM, validate_num_items()
      {"", 400, Where::message, "does not support image", unsupported_capability},  // ollama/ollama#17301
      {"", 400, Where::message, "image input is not supported", unsupported_capability},  // ggml-org/llama.cpp#15377
      {"", 400, Where::message, "is not a multimodal model", unsupported_capability},  // vllm-project/vllm#23402
      // Source: seen in the field, no public page
      {"", 400, Where::message, "does not support vision", unsupported_capability},
      {"", 400, Where::message, "images are not supported", unsupported_capability},
      // Source: roboflow/awesome-openai-vision-api-experiments#11
      {"", 400, Where::message, "image_url is only supported by", unsupported_capability},
      // Source: esengine/DeepSeek-Reasonix#7859
      {"", 400, Where::message, "unknown variant `image_url`", unsupported_capability},
      // How the model is to choose its words:
      {"", 400, Where::message, "temperature must be", unsupported_capability},  // recorded by 0xPlaygrounds/rig
      {"", 400, Where::message, "invalid temperature", unsupported_capability},  // opencyvis/opencyvis-phone#12
      {"", 400, Where::message, "temperature: range", unsupported_capability},  // anthropics/anthropic-sdk-python#893
      {"", 400, Where::message, "`temperature` and `top_p` cannot", unsupported_capability},  // BerriAI/litellm#15097
      {"", 400, Where::message, "top_p must be", unsupported_capability},  // vLLM, sampling_params.py
      {"", 400, Where::message, "invalid top_p", unsupported_capability},  // chatboxai/chatbox#2483
      {"", 400, Where::message, "each stop sequence must", unsupported_capability},  // BerriAI/litellm#3286
      {"", 400, Where::message, "does not support thinking", unsupported_capability},  // Ollama, server/routes.go
      // Source: seen in the field, no public page
      {"", 400, Where::message, "does not support temperature", unsupported_capability},
      {"", 400, Where::message, "does not support stop", unsupported_capability},
      {"", 400, Where::message, "does not support reasoning", unsupported_capability},
      // Anything else that only this model, or this server, does not take:
      {"", 400, Where::message, "this model does not support", unsupported_capability},  // ollama/ollama#17301
      {"", 400, Where::message, "this model doesn't support", unsupported_capability},  // earendil-works/pi#8960
      // Source: recorded by crewAIInc/crewAI
      {"", 400, Where::message, "not supported with this model", unsupported_capability},
      // Source: seen in the field, no public page
      {"", 400, Where::message, "not supported by this model", unsupported_capability},
      {"", 400, Where::message, "not supported by the model", unsupported_capability},
      // Source: egoist/chatwise-releases#141
      {"", 400, Where::message, "not supported for this model", unsupported_capability},
      // Within a stream there is no status that would say so.
      // Source: botocore, bedrock-runtime's service-2.json
      {"bedrock", 0, Where::code, "ValidationException", invalid_request},

      // Statuses that mean something else elsewhere. A lock that passes, by the SDKs of the three, which retry it:
      {"anthropic", 409, Where::status, "", server_error},  // anthropic-sdk-python, _base_client.py
      // Source: openai-python, _base_client.py
      {"openai", 409, Where::status, "", server_error},
      {"azure", 409, Where::status, "", server_error},
      // Source: cohere-python, invalid_token_error.py; Groq's is "flex capacity"
      {"cohere", 498, Where::status, "", authentication},
  });
  // clang-format on
}();

/// Headers that ask for a wait in milliseconds, finer than `retry-after`, in the order of trust.
inline constexpr std::array<std::string_view, 2> wait_headers_in_milliseconds{
    "retry-after-ms",       // openai-python and anthropic-sdk-python, _base_client.py
    "x-ms-retry-after-ms",  // Portkey-AI/gateway, globals.ts (Azure)
};

/// A header with a wait that counts where `retry-after` may speak of another limit, which is not used up.
struct RenewalHeader {
  std::string_view remaining;  ///< of the limit: used up when it says so
  std::string_view renewal;    ///< how long it takes to be whole again
};
/// Of Azure OpenAI, whose `retry-after: 1` has been seen to be about requests while the tokens were used up.
inline constexpr std::array renewal_headers{
    // Source: recorded by crewAIInc/crewAI
    RenewalHeader{"x-ratelimit-remaining-tokens", "x-ratelimit-renewalperiod-tokens"},
};

/// What stands before the wait in a message, in lower case.
inline constexpr std::array<std::string_view, 5> wait_phrases{
    "try again in ",     // danielmiessler/Fabric#364 (Groq), Pythagora-io/gpt-pilot#53 (OpenAI)
    "retry in ",         // gemini-cli, googleQuotaErrors.ts
    "try again after ",  // harry0703/MoneyPrinterTurbo#208 (Moonshot)
    "retry after ",      // icereed/paperless-gpt#814 (Azure)
    "please wait ",      // GitHub Models; seen in the field, no public page
};

/// Words of a rate limit that no wait helps against: one request is larger than all that the limit allows. Both
/// in lower case, in one message: "Request too large for model ... Limit 8000, Requested 10098".
inline constexpr std::array<std::string_view, 2> larger_than_limit_words{
    // Source: maplibre/maplibre-agent-skills#63 (Groq)
    "request too large",
    "requested",
};

/// Where a provider writes its id of a request, in the order of trust.
inline constexpr std::array<std::string_view, 6> request_id_headers{
    "x-request-id",            // openai-python, _response.py; most that speak OpenAI's wire
    "request-id",              // Anthropic docs, errors
    "apim-request-id",         // recorded by envoyproxy/ai-gateway (Azure)
    "x-amzn-requestid",        // recorded by 0xPlaygrounds/rig (Bedrock)
    "mistral-correlation-id",  // recorded by crmne/ruby_llm (Mistral)
    "inference-id",            // recorded by pydantic/pydantic-ai (Cerebras, Hugging Face's router)
};

/// A field of a request that servers refuse by its name, and what is done about it.
struct RefusedField {
  std::string_view name;  ///< in lower case
  RepairSet repairs;
};

constexpr RepairSet set_of(Repair one) noexcept { return static_cast<RepairSet>(one); }

/// The fields under the names of all wires. The source is a refusal of the field, else who calls it so.
inline constexpr std::array<RefusedField, 26> refused_fields{{
    {"temperature", set_of(Repair::temperature)},              // johny-b/llmcomp#69 (OpenAI)
    {"top_p", set_of(Repair::top_p)},                          // OpenAI API specification, chat completions
    {"topp", set_of(Repair::top_p)},                           // googleapis, generative_service.proto
    {"top_k", set_of(Repair::top_k)},                          // xlinx/sd-webui-decadetw-auto-prompt-llm#29
    {"topk", set_of(Repair::top_k)},                           // googleapis, generative_service.proto
    {"frequency_penalty", set_of(Repair::frequency_penalty)},  // OpenAI API specification, chat completions
    {"frequencypenalty", set_of(Repair::frequency_penalty)},   // googleapis, generative_service.proto
    {"presence_penalty", set_of(Repair::presence_penalty)},    // OpenAI API specification, chat completions
    {"presencepenalty", set_of(Repair::presence_penalty)},     // n8n-io/n8n#14581 (xAI)
    // Source: vercel/ai#8943 (Google)
    {"penalty", set_of(Repair::frequency_penalty) | set_of(Repair::presence_penalty)},
    {"seed", set_of(Repair::seed)},                                // OpenAI API specification, chat completions
    {"random_seed", set_of(Repair::seed)},                         // Mistral docs, API: chat completions
    {"stop", set_of(Repair::stop)},                                // BerriAI/litellm#12635 (xAI)
    {"stop_sequences", set_of(Repair::stop)},                      // anthropic-sdk-python, message_create_params.py
    {"stopsequences", set_of(Repair::stop)},                       // googleapis, generative_service.proto
    {"service_tier", set_of(Repair::service_tier)},                // OpenAI API specification, chat completions
    {"servicetier", set_of(Repair::service_tier)},                 // botocore, bedrock-runtime's service-2.json
    {"reasoning_effort", set_of(Repair::reasoning_effort)},        // anomalyco/opencode#53
    {"reasoning.effort", set_of(Repair::reasoning_effort)},        // OpenAI API specification, responses
    {"parallel_tool_calls", set_of(Repair::parallel_tool_calls)},  // OpenAI API specification, chat completions
    {"strict", set_of(Repair::strict)},                            // OpenAI API specification, chat completions
    {"stream_options", set_of(Repair::stream_options)},            // OpenAI API specification, chat completions
    {"max_tokens", set_of(Repair::output_limit_name)},             // recorded by crewAIInc/crewAI (OpenAI)
    {"max_completion_tokens", set_of(Repair::output_limit_name)},  // OpenAI API specification, chat completions
    {"messages[0].role", set_of(Repair::developer_role)},          // lobehub/lobehub#5704 (OpenAI)
    {"image_url.detail", set_of(Repair::image_detail)},            // OpenAI API specification, chat completions
}};

/// Of servers that check requests by a type of theirs in which `image_url` is a string.
inline constexpr std::array<std::string_view, 4> plain_image_words{
    "valid string",        // pydantic docs, validation errors: "Input should be a valid string"
    "must be a string",    // seen in the field, no public page
    "should be a string",  // seen in the field, no public page
    "expected a string",   // serde docs, Error::invalid_type()
};

/// That a field is not taken, rather than that its value is wrong.
inline constexpr std::array<std::string_view, 4> refusing_codes{
    "unsupported_parameter",  // recorded by crewAIInc/crewAI (OpenAI)
    "unsupported_value",      // recorded by pydantic/pydantic-ai (OpenAI)
    "unknown_parameter",      // cursor/cursor#2786 (OpenAI)
    "extra_forbidden",        // pydantic docs, validation errors; Mistral's type
};
inline constexpr std::array<std::string_view, 14> refusing_words{
    "unsupported parameter",           // recorded by crewAIInc/crewAI (OpenAI)
    "unsupported value",               // recorded by pydantic/pydantic-ai (OpenAI)
    "unrecognized request argument",   // xlinx/sd-webui-decadetw-auto-prompt-llm#29 (OpenAI)
    "unknown parameter",               // cursor/cursor#2786 (OpenAI)
    "unknown name",                    // iflow-ai/iflow-cli#238 (Google)
    "unknown field",                   // seen in the field, no public page
    "unknown role",                    // seen in the field, no public page
    "extra inputs are not permitted",  // Gitlawb/openclaude#739 (Mistral)
    "not supported",                   // n8n-io/n8n#14581 (xAI)
    "is unsupported",                  // janhq/jan#8136 (Groq)
    "does not support",                // neavo/LinguaGacha#771 (xAI)
    "not enabled",                     // vercel/ai#8943 (Google)
    "is deprecated",                   // altic-dev/FluidVoice#285 (Anthropic)
    "not permitted",                   // recorded by pydantic/pydantic-ai (Bedrock)
};

/// Words of them that may also be about the one value that was sent.
inline constexpr std::array<std::string_view, 2> value_words{
    // Source: lobehub/lobehub#5704 and johny-b/llmcomp#69 (OpenAI)
    "unsupported value",
    "does not support",
};
/// Whose other values may be taken: that these fields are refused must be said of the field.
inline constexpr RepairSet by_value = set_of(Repair::reasoning_effort) | set_of(Repair::service_tier);

}  // namespace backstop::inline v0::detail
