#include "providers/failure/provider_quirks.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "providers/failure/error_classifier.hpp"
#include "providers/failure/retry_hints.hpp"
#include "text/ascii.hpp"

namespace provider_quirks_test {

using namespace backstop;
using namespace backstop::detail;

namespace {

/// What a provider says, as it writes it, and what that means.
struct Example {
  std::string_view provider;  ///< empty: whoever
  int status;                 ///< 0: any
  std::string_view said;
  ErrorKind kind;
};

using enum ErrorKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::vector<Example> codes{
    // clang-format off
    {"openrouter", 402, "in_flight_budget_exhausted", rate_limited},
    {"deepseek", 402, "invalid_request_error", quota_exhausted},
    {"zai", 0, "1113", quota_exhausted},
    {"zai", 0, "1308", quota_exhausted},
    {"zai", 0, "1309", quota_exhausted},
    {"zai", 0, "1302", rate_limited},
    {"zai", 0, "1305", overloaded},
    {"zai", 0, "1211", model_not_found},
    {"zai", 0, "1261", context_window_exceeded},
    {"zai", 0, "1301", content_filtered},
    {"zai", 0, "1000", authentication},
    {"zai", 0, "1001", authentication},
    {"zai", 0, "1002", authentication},
    {"zai", 0, "1003", authentication},
    {"zai", 0, "1004", authentication},
    {"zai", 0, "1212", unsupported_capability},
    {"zai", 0, "1220", permission},
    {"zai", 0, "1230", server_error},
    {"zai", 0, "1234", server_error},
    {"", 0, "base_resp/1002", rate_limited},
    {"", 0, "base_resp/1039", rate_limited},
    {"", 0, "base_resp/1041", rate_limited},
    {"", 0, "base_resp/1004", authentication},
    {"", 0, "base_resp/2049", authentication},
    {"", 0, "base_resp/1008", quota_exhausted},
    {"", 0, "base_resp/2056", quota_exhausted},
    {"", 0, "base_resp/1026", content_filtered},
    {"", 0, "base_resp/1027", content_filtered},
    {"", 0, "base_resp/2013", invalid_request},
    {"mistral", 0, "1300", rate_limited},
    {"mistral", 0, "3505", overloaded},
    {"mistral", 0, "1500", model_not_found},
    {"mistral", 0, "invalid_model", model_not_found},
    {"mistral", 0, "3280", invalid_request},
    {"cloudflare", 0, "3040", overloaded},
    {"cloudflare", 0, "3006", context_window_exceeded},
    {"xai", 0, "The service is currently unavailable. Try again later.", overloaded},
    {"groq", 0, "tool_use_failed", malformed_response},
    {"", 0, "insufficient_quota", quota_exhausted},
    {"", 0, "credit_balance_exhausted", quota_exhausted},
    {"", 0, "billing_hard_limit_reached", quota_exhausted},
    {"", 0, "billing_not_active", quota_exhausted},
    {"", 0, "billing_error", quota_exhausted},
    {"", 0, "payment_required", quota_exhausted},
    {"", 0, "exceeded_current_quota_error", quota_exhausted},
    {"", 0, "quota_exhausted", quota_exhausted},
    {"", 0, "INSUFFICIENT_G1_CREDITS_BALANCE", quota_exhausted},
    {"", 0, "PrepaidBillOverdue", quota_exhausted},
    {"", 0, "PostpaidBillOverdue", quota_exhausted},
    {"", 0, "CommodityNotPurchased", quota_exhausted},
    {"", 0, "Arrearage", quota_exhausted},
    {"", 0, "AccessDenied.Unpurchased", quota_exhausted},
    {"", 0, "AllocationQuota.FreeTierOnly", quota_exhausted},
    {"", 0, "ServiceQuotaExceededException", quota_exhausted},
    {"", 0, "overloaded_error", overloaded},
    {"", 0, "overloaded", overloaded},
    {"", 0, "engine_overloaded_error", overloaded},
    {"", 0, "engine_overloaded", overloaded},
    {"", 0, "service_tier_capacity_exceeded", overloaded},
    {"", 0, "provider_overloaded", overloaded},
    {"", 0, "provider_unavailable", overloaded},
    {"", 0, "server_overloaded", overloaded},
    {"", 0, "server_is_overloaded", overloaded},
    {"", 0, "slow_down", overloaded},
    {"", 0, "unavailable_error", overloaded},
    {"", 0, "service_unavailable", overloaded},
    {"", 0, "UNAVAILABLE", overloaded},
    {"", 0, "MODEL_CAPACITY_EXHAUSTED", overloaded},
    {"", 0, "MODEL_CAPACITY_EXCEEDED", overloaded},
    {"", 0, "ModelNotReadyException", overloaded},
    {"", 0, "ServiceUnavailableException", overloaded},
    {"", 0, "rate_limit_exceeded", rate_limited},
    {"", 0, "rate_limit_error", rate_limited},
    {"", 0, "rate_limited", rate_limited},
    {"", 0, "rate_limit_reached_error", rate_limited},
    {"", 0, "RateLimitReached", rate_limited},
    {"", 0, "too_many_requests", rate_limited},
    {"", 0, "limit_requests", rate_limited},
    {"", 0, "token_quota_exceeded", rate_limited},
    {"", 0, "Throttling.RateQuota", rate_limited},
    {"", 429, "RESOURCE_EXHAUSTED", rate_limited},
    {"", 0, "invalid_api_key", authentication},
    {"", 0, "incorrect_api_key_error", authentication},
    {"", 0, "authentication_error", authentication},
    {"", 0, "invalid_authentication_error", authentication},
    {"", 0, "InvalidApiKey", authentication},
    {"", 0, "API_KEY_INVALID", authentication},
    {"", 0, "UNAUTHENTICATED", authentication},
    {"", 0, "UnrecognizedClientException", authentication},
    {"", 0, "InvalidSignatureException", authentication},
    {"", 0, "IncompleteSignatureException", authentication},
    {"", 0, "SignatureDoesNotMatch", authentication},
    {"", 0, "MissingAuthenticationTokenException", authentication},
    {"", 0, "ExpiredTokenException", authentication},
    {"", 0, "permission_error", permission},
    {"", 0, "permission_denied", permission},
    {"", 0, "permission_denied_error", permission},
    {"", 0, "PERMISSION_DENIED", permission},
    {"", 0, "AccessDeniedException", permission},
    {"", 0, "model_not_found", model_not_found},
    {"", 0, "not_found_error", model_not_found},
    {"", 0, "resource_not_found_error", model_not_found},
    {"", 0, "DeploymentNotFound", model_not_found},
    {"", 0, "NotFoundError", model_not_found},
    {"", 0, "NOT_FOUND", model_not_found},
    {"", 0, "ResourceNotFoundException", model_not_found},
    {"", 0, "model_decommissioned", model_not_found},
    {"", 0, "context_length_exceeded", context_window_exceeded},
    {"", 0, "exceed_context_size_error", context_window_exceeded},
    {"", 0, "tokens_limit_reached", context_window_exceeded},
    {"", 0, "token_limit_exceeded", context_window_exceeded},
    {"", 0, "request_too_large", context_window_exceeded},
    {"", 0, "payload_too_large", context_window_exceeded},
    {"", 0, "too_many_prompt_tokens", context_window_exceeded},
    {"", 0, "string_above_max_length", invalid_request},
    {"", 0, "unsupported_parameter", unsupported_capability},
    {"", 0, "unsupported_value", unsupported_capability},
    {"", 0, "unsupported_file", unsupported_capability},
    {"", 0, "unsupported_image_media_type", unsupported_capability},
    {"", 0, "image_too_large", unsupported_capability},
    {"", 0, "image_file_too_large", unsupported_capability},
    {"", 0, "image_too_small", unsupported_capability},
    {"", 0, "failed_to_download_image", unsupported_capability},
    {"", 0, "invalid_encrypted_content", unsupported_capability},
    {"", 0, "image_parse_error", invalid_request},
    {"", 0, "invalid_base64_image", invalid_request},
    {"", 0, "empty_image_file", invalid_request},
    {"", 0, "invalid_image_format", invalid_request},
    {"", 0, "content_filter", content_filtered},
    {"", 0, "content_policy_violation", content_filtered},
    {"", 0, "ResponsibleAIPolicyViolation", content_filtered},
    {"", 0, "invalid_prompt", content_filtered},
    {"", 0, "bio_policy", content_filtered},
    {"", 0, "image_content_policy_violation", content_filtered},
    {"", 0, "DataInspectionFailed", content_filtered},
    {"", 0, "data_inspection_failed", content_filtered},
    {"", 0, "tool_use_failed", malformed_response},
    {"", 0, "timeout_error", server_error},
    {"", 0, "DEADLINE_EXCEEDED", server_error},
    {"", 0, "ModelErrorException", server_error},
    {"", 0, "ModelStreamErrorException", server_error},
    {"", 0, "InternalServerException", server_error},
    {"bedrock", 0, "ValidationException", invalid_request},
    // clang-format on
};

const std::vector<Example> sentences{
    // clang-format off
    {"bedrock", 403, "Authentication failed: Please make sure your API Key is valid.", authentication},
    {"bedrock", 403, "Bearer Token has expired", authentication},
    {"", 0, "Rate limit of 50 per 86400s exceeded for UserByModelByDay.", quota_exhausted},
    {"google", 429, "* Quota exceeded for metric: a/free_tier_requests, limit: 0, model: m", quota_exhausted},
    {"google", 429, "* Quota exceeded for metric: a/free_tier_requests, limit: 0\nPlease retry in 34s.", quota_exhausted},
    {"", 0, "Error code: insufficient_quota", quota_exhausted},
    {"", 0, "You have no credits remaining.", quota_exhausted},
    {"", 0, "Your credit balance is too low to access the Anthropic API.", quota_exhausted},
    {"", 0, "Insufficient Balance", quota_exhausted},
    {"", 0, "Insufficient credits. Add more to continue.", quota_exhausted},
    {"", 0, "Monthly spend limit reached", quota_exhausted},
    {"", 0, "You reached your monthly spending limit.", quota_exhausted},
    {"", 0, "Your team has used all available credits", quota_exhausted},
    {"", 0, "You have exceeded your monthly included credits for Inference Providers.", quota_exhausted},
    {"", 0, "billing_hard_limit has been reached", quota_exhausted},
    {"", 0, "you have used up your daily free allocation of 10,000 neurons", quota_exhausted},
    {"", 0, "\xE4\xBD\x99\xE9\xA2\x9D\xE4\xB8\x8D\xE8\xB6\xB3, 1113", quota_exhausted},
    {"", 403, "Quota exceeded for this project.", quota_exhausted},
    {"", 403, "Not enough credit.", quota_exhausted},
    {"", 403, "Billing is disabled.", quota_exhausted},
    {"", 403, "The model requires moderation on its input.", content_filtered},
    {"", 403, "Your input was flagged.", content_filtered},
    {"", 403, "The security token included in the request is invalid.", authentication},
    {"", 429, "That model is currently overloaded with other requests.", overloaded},
    {"", 429, "The model is over capacity.", overloaded},
    {"", 429, "Capacity temporarily exceeded, please try again.", overloaded},
    {"", 0, "Incorrect API key provided: k.", authentication},
    {"", 0, "Invalid API Key", authentication},
    {"", 0, "API key not valid. Please pass a valid API key.", authentication},
    {"", 0, "invalid x-api-key", authentication},
    {"deepseek", 400, "The supported API model names are a or b, but you passed c.", model_not_found},
    {"", 400, "m is not a valid model ID", model_not_found},
    {"", 400, "The provided model identifier is invalid.", model_not_found},
    {"", 400, "Invocation of model ID m with on-demand throughput isn't supported.", model_not_found},
    {"xai", 0, "Model not found: m", model_not_found},
    {"perplexity", 400, "Invalid model 'm'.", model_not_found},
    {"", 0, "The response was filtered due to Azure OpenAI's content management policy.", content_filtered},
    {"", 0, "Output blocked by content filtering policy", content_filtered},
    {"", 0, "Invalid prompt: potentially violating our usage policy.", content_filtered},
    {"", 0, "Your request was rejected as a result of the safety system.", content_filtered},
    {"", 0, "input length and `max_tokens` exceed context limit: 9 + 3 > 10", context_window_exceeded},
    {"", 0, "This model's maximum context length is 8192 tokens.", context_window_exceeded},
    {"", 0, "The request is beyond the model's maximum context limit.", context_window_exceeded},
    {"", 0, "Your input exceeds the context window of this model.", context_window_exceeded},
    {"", 0, "The input is longer than the model's context length.", context_window_exceeded},
    {"", 0, "the input length exceeds the context length", context_window_exceeded},
    {"", 0, "Input tokens exceed the configured limit of 8 tokens.", context_window_exceeded},
    {"", 0, "`inputs` tokens + `max_new_tokens` must be <= 4096.", context_window_exceeded},
    {"", 0, "the request exceeds the available context size", context_window_exceeded},
    {"", 0, "The input token count (9) exceeds the maximum number of tokens allowed (8).", context_window_exceeded},
    {"", 0, "The number of tokens exceed model maximum.", context_window_exceeded},
    {"", 0, "Request payload size exceeds the limit: 20971520 bytes.", context_window_exceeded},
    {"", 0, "Current length is 9 while limit is 8", context_window_exceeded},
    {"", 0, "The maximum input length is 8 tokens.", context_window_exceeded},
    {"", 0, "This model's maximum prompt length is 10 but the request contains 20 tokens", context_window_exceeded},
    {"", 0, "prompt is too long: 9 tokens > 8 maximum", context_window_exceeded},
    {"", 400, "Input is too long for requested model.", context_window_exceeded},
    {"", 400, "too many tokens: 9 of 8", context_window_exceeded},
    {"", 0, "Too many input tokens.", context_window_exceeded},
    {"", 0, "The prompt has too many tokens.", context_window_exceeded},
    {"", 0, "prompt token count of 9 exceeds the limit of 8", context_window_exceeded},
    {"", 0, "This model does not support assistant message prefill.", unsupported_capability},
    {"", 400, "m does not support effort level 'xhigh'.", unsupported_capability},
    {"", 400, "m does not support chat", unsupported_capability},
    {"", 400, "max_tokens is too large: 99999. This model supports at most 4096 completion tokens.", unsupported_capability},
    {"", 400, "max_completion_tokens is too large: 99999.", unsupported_capability},
    {"", 400, "max_tokens: 99999 > 8192, which is the maximum allowed number of output tokens for m", unsupported_capability},
    {"", 400, "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", unsupported_capability},
    {"", 400, "Invalid max_tokens value: 0", unsupported_capability},
    {"", 400, "Range of max_tokens should be [1, 8192]", unsupported_capability},
    {"", 400, "max_tokens must be less than or equal to 8192", unsupported_capability},
    {"", 400, "`max_tokens` must be less than or equal to `8192`", unsupported_capability},
    {"", 400, "The maximum tokens you requested exceeds the model limit of 8192.", unsupported_capability},
    {"", 400, "This response_format type is unavailable now", unsupported_capability},
    {"", 400, "m does not support response format `json_schema`.", unsupported_capability},
    {"", 400, "response_format is not supported here", unsupported_capability},
    {"", 400, "'response_format' is not supported here", unsupported_capability},
    {"", 400, "JSON mode is not supported here", unsupported_capability},
    {"", 400, "JSON mode is not enabled here", unsupported_capability},
    {"", 400, "m does not support JSON output", unsupported_capability},
    {"", 400, "m does not support structured outputs", unsupported_capability},
    {"", 400, "m does not support tool use", unsupported_capability},
    {"", 400, "m does not support function calling", unsupported_capability},
    {"", 400, "\"auto\" tool choice requires --enable-auto-tool-choice to be set", unsupported_capability},
    {"", 400, "start the server with --tool-call-parser", unsupported_capability},
    {"", 400, "tool calling is not supported here", unsupported_capability},
    {"", 400, "`tool calling` is not supported here", unsupported_capability},
    {"", 400, "Tool use is not supported here", unsupported_capability},
    {"", 400, "tools are not supported here", unsupported_capability},
    {"", 400, "tools is not supported here", unsupported_capability},
    {"", 400, "At most 0 image(s) may be provided in one request.", unsupported_capability},
    {"", 400, "m does not support image input", unsupported_capability},
    {"", 400, "m does not support vision", unsupported_capability},
    {"", 400, "Images are not supported here", unsupported_capability},
    {"", 400, "image input is not supported here", unsupported_capability},
    {"", 400, "image_url is only supported by certain models", unsupported_capability},
    {"", 400, "messages[0]: unknown variant `image_url`, expected `text`", unsupported_capability},
    {"", 400, "m is not a multimodal model", unsupported_capability},
    {"", 400, "temperature must be at most 1", unsupported_capability},
    {"", 400, "Invalid temperature: only 1 is allowed", unsupported_capability},
    {"", 400, "temperature: range: 0..1", unsupported_capability},
    {"", 400, "m does not support temperature", unsupported_capability},
    {"", 400, "`temperature` and `top_p` cannot both be specified", unsupported_capability},
    {"", 400, "top_p must be in (0, 1)", unsupported_capability},
    {"", 400, "invalid top_p", unsupported_capability},
    {"", 400, "each stop sequence must contain non-whitespace", unsupported_capability},
    {"", 400, "m does not support stop sequences", unsupported_capability},
    {"", 400, "m does not support thinking", unsupported_capability},
    {"", 400, "m does not support reasoning", unsupported_capability},
    {"", 400, "This model does not support the field.", unsupported_capability},
    {"", 400, "This model doesn't support tool use.", unsupported_capability},
    {"", 400, "That is not supported with this model.", unsupported_capability},
    {"", 400, "That is not supported by this model.", unsupported_capability},
    {"", 400, "That is not supported for this model.", unsupported_capability},
    {"", 400, "That is not supported by the model.", unsupported_capability},
    // clang-format on
};

const std::vector<Example> params{
    // clang-format off
    {"", 400, "max_tokens", unsupported_capability},
    {"", 400, "max_completion_tokens", unsupported_capability},
    {"", 400, "max_output_tokens", unsupported_capability},
    {"", 400, "response_format", unsupported_capability},
    {"", 400, "tools", unsupported_capability},
    {"", 400, "tool_choice", unsupported_capability},
    {"", 400, "parallel_tool_calls", unsupported_capability},
    {"", 400, "temperature", unsupported_capability},
    {"", 400, "top_p", unsupported_capability},
    {"", 400, "stop", unsupported_capability},
    {"", 400, "reasoning_effort", unsupported_capability},
    {"", 400, "stream_options", unsupported_capability},
    {"", 400, "text.format", unsupported_capability},
    {"", 400, "text.format.schema", unsupported_capability},
    {"", 400, "reasoning", unsupported_capability},
    {"", 400, "reasoning.effort", unsupported_capability},
    {"", 400, "reasoning.summary", unsupported_capability},
    {"", 400, "include", unsupported_capability},
    // clang-format on
};

const std::vector<Example> statuses{
    {"openai", 409, "", server_error},
    {"azure", 409, "", server_error},
    {"anthropic", 409, "", server_error},
    {"cohere", 498, "", authentication},
};

/// Under a status that alone means something else, where the example does not name one.
ErrorKind kind_of_example(const Example& example, const ProviderFailure& failure) {
  const std::string_view provider = example.provider.empty() ? "somebody" : example.provider;
  const int other_status = example.kind == invalid_request ? 500 : 418;
  return kind_of(failure, provider, example.status != 0 ? example.status : other_status);
}

/// Whether the row is about this example.
bool is_about(const ProviderQuirk& row, const Example& example) {
  if (row.provider != example.provider || row.status != example.status || row.kind != example.kind) return false;
  if (row.where == ProviderQuirk::Where::code) return equal_ignoring_case(row.pattern, example.said);
  if (row.where == ProviderQuirk::Where::param) return row.pattern == example.said;
  std::string said{example.said};
  std::string pattern{row.pattern};
  std::transform(said.begin(), said.end(), said.begin(), to_lower);
  std::transform(pattern.begin(), pattern.end(), pattern.begin(), to_lower);
  return said.find(pattern) != std::string::npos;
}

}  // namespace

TEST_CASE("every code of a provider means what it means, wherever in the error it stands") {
  for (const Example& example : codes) {
    CAPTURE(example.provider, example.status, example.said);
    for (std::string ProviderFailure::*const field :
         {&ProviderFailure::code, &ProviderFailure::type, &ProviderFailure::status, &ProviderFailure::reason}) {
      ProviderFailure failure;
      failure.*field = example.said;
      CHECK(to_string(kind_of_example(example, failure)) == to_string(example.kind));
    }
  }
}

TEST_CASE("every wording of a provider means what it means") {
  for (const Example& example : sentences) {
    CAPTURE(example.provider, example.status, example.said);
    ProviderFailure failure;
    failure.message = example.said;
    CHECK(to_string(kind_of_example(example, failure)) == to_string(example.kind));
  }
}

TEST_CASE("a field at fault means what it means") {
  for (const Example& example : params) {
    CAPTURE(example.provider, example.status, example.said);
    ProviderFailure failure;
    failure.param = example.said;
    failure.message = "no";
    CHECK(to_string(kind_of_example(example, failure)) == to_string(example.kind));
  }
}

TEST_CASE("a status that means something of its own at a provider gives way to what is said with it") {
  for (const Example& example : statuses) {
    CAPTURE(example.provider, example.status);
    ProviderFailure failure;
    failure.message = "no";
    CHECK(kind_of(failure, example.provider, example.status) == example.kind);
    CHECK(kind_of(failure, "somebody", example.status) == kind_of_status(example.status));
    CHECK(kind_of(failure, "somebody", example.status) != example.kind);
    failure.code = "model_not_found";
    CHECK(kind_of(failure, example.provider, example.status) == model_not_found);
  }
}

TEST_CASE("every header and phrase that asks for a wait is read") {
  HttpResponseHead head;
  head.status = 429;
  const auto hint = [&](std::string message) {
    ProviderFailure failure;
    failure.message = std::move(message);
    return retry_hint(head, failure, WallTime{});
  };
  for (const std::string_view phrase : wait_phrases) CHECK(hint("Now " + std::string{phrase} + "4s.") == seconds{4});
  for (const std::string_view name : wait_headers_in_milliseconds) {
    head.headers = {{std::string{name}, "1500"}, {"retry-after", "9"}};
    CHECK(hint("no") == milliseconds{1500});
  }
  for (const RenewalHeader& row : renewal_headers) {
    head.headers = {{"retry-after", "1"}, {std::string{row.remaining}, "0"}, {std::string{row.renewal}, "60"}};
    CHECK(hint("no") == seconds{60});
    head.headers[1].second = "5";
    CHECK(hint("no") == seconds{1});
  }
}

TEST_CASE("a code that only one provider has means nothing at another") {
  for (const Example& example : codes) {
    const auto same = [&](const Example& other) { return other.said == example.said && other.provider.empty(); };
    if (example.provider.empty() || std::any_of(codes.begin(), codes.end(), same)) continue;
    CAPTURE(example.provider, example.said);
    ProviderFailure failure;
    failure.code = example.said;
    const bool refused = example.kind == invalid_request;
    CHECK(kind_of(failure, "somebody", refused ? 500 : 418) == (refused ? server_error : invalid_request));
  }
}

TEST_CASE("every row of the table has an example") {
  for (const ProviderQuirk& row : provider_quirks) {
    CAPTURE(row.provider, row.status, row.pattern);
    const bool in_words = row.where == ProviderQuirk::Where::message;
    const bool in_field = row.where == ProviderQuirk::Where::param;
    const bool in_status = row.where == ProviderQuirk::Where::status;
    const std::vector<Example>& examples = in_words ? sentences : in_field ? params : in_status ? statuses : codes;
    const auto fits = [&row](const Example& example) { return is_about(row, example); };
    CHECK(std::any_of(examples.begin(), examples.end(), fits));
  }
}

}  // namespace provider_quirks_test
