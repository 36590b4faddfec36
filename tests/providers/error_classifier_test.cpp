#include "providers/failure/error_classifier.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "providers/failure/read_failure.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace error_classifier_test {

using namespace backstop;
using namespace backstop::detail;
using namespace std::chrono_literals;

namespace {

Endpoint endpoint_of(std::string provider) {
  Endpoint endpoint;
  endpoint.target = Target{provider, "m"};
  endpoint.provider = std::move(provider);
  endpoint.api_key = "sk-secret-0123456789";
  return endpoint;
}

Error classified(std::string provider, int status, std::string_view body, std::vector<Header> headers = {}) {
  const Endpoint endpoint = endpoint_of(std::move(provider));
  const HttpResponseHead head{status, std::move(headers)};
  const Secrets secrets = secrets_of(endpoint);
  return classify_body(body, FailureSource{endpoint, head, WallTime{}, secrets});
}

struct Row {
  const char* provider;
  int status;
  const char* body;
  ErrorKind kind;
  const char* code;
};

using enum ErrorKind;

const std::vector<Row> rows{
    // clang-format off
    {"openai", 401, R"({"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})", authentication, "invalid_api_key"},
    {"openai", 403, R"({"error":{"message":"Country not supported","type":"request_forbidden","code":"unsupported_country"}})", permission, "unsupported_country"},
    {"openai", 404, R"({"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}})", model_not_found, "model_not_found"},
    {"openai", 400, R"({"error":{"message":"no such model","type":"invalid_request_error","code":"model_not_found"}})", model_not_found, "model_not_found"},
    {"openai", 429, R"({"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}})", quota_exhausted, "insufficient_quota"},
    {"openai", 429, R"({"error":{"message":"none left","type":"insufficient_quota","code":"credit_balance_exhausted"}})", quota_exhausted, "credit_balance_exhausted"},
    {"openai", 429, R"({"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}})", rate_limited, "rate_limit_exceeded"},
    {"openai", 429, R"({"error":{"message":"slow down","type":"invalid_request_error","code":"rate_limit_error"}})", rate_limited, "rate_limit_error"},
    {"openai", 429, R"({"error":{"message":"That model is currently overloaded with other requests.","type":"requests"}})", overloaded, "requests"},
    {"openai", 400, R"({"error":{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}})", context_window_exceeded, "context_length_exceeded"},
    {"openai", 400, R"({"error":{"message":"Invalid 'tools[0].id': string too long. Expected a string with maximum length 40","type":"invalid_request_error","code":"string_above_max_length"}})", invalid_request, "string_above_max_length"},
    {"openai", 400, R"({"error":{"message":"Unsupported parameter: 'stop'","type":"invalid_request_error","code":"unsupported_parameter"}})", unsupported_capability, "unsupported_parameter"},
    {"openai", 400, R"({"error":{"message":"no","type":"invalid_request_error","code":"content_policy_violation"}})", content_filtered, "content_policy_violation"},
    {"openai", 400, R"({"error":{"message":"Invalid 'messages'","type":"invalid_request_error","code":null}})", invalid_request, "invalid_request_error"},
    // One model's limits are not the request's fault.
    {"openai", 400, R"({"error":{"message":"no","type":"invalid_request_error","param":"max_tokens","code":null}})", unsupported_capability, "invalid_request_error"},
    {"openai", 400, R"({"error":{"message":"no","type":"invalid_request_error","param":"response_format","code":"invalid_request_error"}})", unsupported_capability, "invalid_request_error"},
    {"openai", 400, R"({"error":{"message":"no","type":"invalid_request_error","param":"temperature","code":"invalid_value"}})", unsupported_capability, "invalid_value"},
    {"openai", 400, R"({"error":{"message":"no","type":"invalid_request_error","param":"messages","code":null}})", invalid_request, "invalid_request_error"},
    {"openai", 400, R"({"error":{"message":"This model's maximum context length is 8 tokens","type":"invalid_request_error","param":"max_tokens","code":null}})", context_window_exceeded, "invalid_request_error"},
    {"vllm", 400, R"({"object":"error","message":"At most 0 image(s) may be provided in one prompt.","type":"BadRequestError","code":400})", unsupported_capability, "400"},
    {"vllm", 400, R"({"object":"error","message":"m is not a multimodal model","type":"BadRequestError","code":400})", unsupported_capability, "400"},
    {"deepseek", 400, R"({"error":{"message":"Failed to deserialize: messages[0]: unknown variant `image_url`, expected `text`","type":"invalid_request_error"}})", unsupported_capability, "invalid_request_error"},
    {"deepseek", 400, R"({"error":{"message":"Invalid max_tokens value, the valid range of max_tokens is [1, 8192]","type":"invalid_request_error"}})", unsupported_capability, "invalid_request_error"},
    {"anthropic", 400, R"({"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-x"}})", unsupported_capability, "invalid_request_error"},
    {"groq", 400, R"({"error":{"message":"This model does not support response format `json_schema`","type":"invalid_request_error"}})", unsupported_capability, "invalid_request_error"},
    {"zai", 400, R"({"error":{"code":"1210","message":"temperature must be within [0, 1]"}})", unsupported_capability, "1210"},
    {"ollama", 400, R"({"error":"llama2 does not support tools"})", unsupported_capability, ""},
    // Nobody says why.
    {"openai", 400, "", unsupported_capability, ""},
    {"openai", 400, "{}", unsupported_capability, ""},
    {"openai", 400, "<html>400 Bad Request</html>", unsupported_capability, ""},
    {"openai", 400, R"({"error":{"message":"no"}})", invalid_request, ""},
    {"openai", 408, "", timeout, ""},
    {"openai", 409, "{}", server_error, ""},
    {"groq", 409, "{}", invalid_request, ""},
    {"openai", 413, "", context_window_exceeded, ""},
    {"openai", 422, R"({"detail":[{"loc":["body","model"],"msg":"Field required","type":"missing"}]})", invalid_request, ""},
    {"openai", 500, R"({"error":{"message":"The server had an error","type":"server_error"}})", server_error, "server_error"},
    {"openai", 502, "<html><title>502 Bad Gateway</title></html>", server_error, ""},
    {"openai", 503, "", overloaded, ""},
    {"openai", 504, "upstream request timeout", server_error, ""},
    {"openai", 520, "", server_error, ""},
    {"openai", 524, "", server_error, ""},
    {"openai", 529, "", overloaded, ""},
    {"openai", 302, "", malformed_response, ""},
    {"azure", 400, R"({"error":{"message":"The response was filtered","code":"content_filter","status":400}})", content_filtered, "content_filter"},
    {"azure", 400, R"({"error":{"message":"x","code":"invalid_request_error","innererror":{"code":"ResponsibleAIPolicyViolation"}}})", content_filtered, "invalid_request_error"},
    {"azure", 404, R"({"error":{"code":"DeploymentNotFound","message":"x"}})", model_not_found, "DeploymentNotFound"},
    {"azure", 401, R"({"error":{"code":"401","message":"Access denied"}})", authentication, "401"},
    {"azure", 429, R"({"error":{"code":"429","message":"Rate limit is exceeded. Try again in 2 seconds."}})", rate_limited, "429"},
    {"deepseek", 402, R"({"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}})", quota_exhausted, "invalid_request_error"},
    {"deepseek", 400, R"({"error":{"message":"The supported API model names are a or b, but you passed c.","type":"invalid_request_error","code":"invalid_request_error"}})", model_not_found, "invalid_request_error"},
    {"groq", 400, R"({"error":{"message":"Failed to call a function","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x"}})", malformed_response, "tool_use_failed"},
    {"groq", 413, R"({"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 8000, Requested 10098","type":"tokens","code":"rate_limit_exceeded"}})", rate_limited, "rate_limit_exceeded"},
    {"groq", 498, R"({"error":{"message":"flex"}})", overloaded, ""},
    {"mistral", 429, R"({"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"})", rate_limited, "1300"},
    {"mistral", 429, R"({"object":"error","message":"capacity","type":"service_tier_capacity_exceeded","code":"3505"})", overloaded, "3505"},
    {"mistral", 400, R"({"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"})", model_not_found, "1500"},
    {"mistral", 401, R"({"detail":"Unauthorized"})", authentication, ""},
    {"xai", 400, R"({"code":"invalid-argument","error":"Incorrect API key provided: k."})", authentication, "invalid-argument"},
    {"xai", 400, R"({"error":"This model's maximum prompt length is 10 but the request contains 20 tokens"})", context_window_exceeded, ""},
    {"xai", 403, R"({"code":"x","error":"Your team has used all available credits"})", quota_exhausted, "x"},
    {"openrouter", 400, R"({"error":{"code":400,"message":"m is not a valid model ID"},"user_id":"u"})", model_not_found, "400"},
    {"openrouter", 402, R"({"error":{"code":402,"message":"Insufficient credits"}})", quota_exhausted, "402"},
    {"openrouter", 403, R"({"error":{"code":403,"message":"m requires moderation","metadata":{"reasons":["violence"]}}})", content_filtered, "403"},
    {"openrouter", 429, R"({"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"m is temporarily rate-limited upstream"}}})", rate_limited, "429"},
    {"openrouter", 502, R"({"error":{"code":502,"message":"Provider returned error","metadata":{"error_type":"provider_overloaded"}}})", overloaded, "502"},
    {"cerebras", 400, R"({"message":"Please reduce the length. Current length is 9 while limit is 8","type":"invalid_request_error","code":"x"})", context_window_exceeded, "x"},
    {"perplexity", 400, R"({"error":{"message":"The total length of all messages is too long.","type":"too_many_prompt_tokens","code":400}})", context_window_exceeded, "400"},
    {"moonshot", 429, R"({"error":{"message":"busy","type":"engine_overloaded_error"}})", overloaded, "engine_overloaded_error"},
    {"moonshot", 429, R"({"error":{"message":"no","type":"exceeded_current_quota_error"}})", quota_exhausted, "exceeded_current_quota_error"},
    {"zai", 429, R"({"error":{"code":"1113","message":"no"}})", quota_exhausted, "1113"},
    {"zai", 429, R"({"error":{"code":"1302","message":"no"}})", rate_limited, "1302"},
    {"qwen", 429, R"({"code":"Throttling.RateQuota","message":"x","request_id":"r"})", rate_limited, "Throttling.RateQuota"},
    {"qwen", 400, R"({"code":"Arrearage","message":"x","request_id":"r"})", quota_exhausted, "Arrearage"},
    {"qwen", 400, R"({"error":{"code":"data_inspection_failed","message":"x"}})", content_filtered, "data_inspection_failed"},
    {"llamacpp", 400, R"({"error":{"code":400,"type":"exceed_context_size_error","message":"too long","n_ctx":8}})", context_window_exceeded, "400"},
    {"llamacpp", 503, R"({"error":{"code":503,"message":"Loading model","type":"unavailable_error"}})", overloaded, "503"},
    {"huggingface", 402, R"({"error":"You have exceeded your monthly included credits for Inference Providers"})", quota_exhausted, ""},
    {"github", 413, R"({"error":{"code":"tokens_limit_reached","message":"x"}})", context_window_exceeded, "tokens_limit_reached"},
    {"github", 429, R"({"error":{"code":"RateLimitReached","message":"Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 5631 seconds before retrying."}})", quota_exhausted, "RateLimitReached"},
    {"cloudflare", 429, R"({"success":false,"errors":[{"code":3040,"message":"Capacity temporarily exceeded"}]})", overloaded, "3040"},
    {"nvidia", 410, "", model_not_found, ""},
    {"bedrock", 400, R"({"__type":"ThrottlingException","message":"no"})", rate_limited, "ThrottlingException"},
    {"bedrock", 400, R"({"__type":"com.amazon.coral.service#ThrottlingException","message":"no"})", rate_limited, "com.amazon.coral.service#ThrottlingException"},
    {"bedrock", 400, R"({"__type":"com.amazon.coral.service#x","Message":"Input is too long for requested model."})", context_window_exceeded, "com.amazon.coral.service#x"},
    {"gemini", 400, R"([{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}])", authentication, "400"},
    {"gemini", 503, R"({"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}})", overloaded, "503"},
    {"gemini", 500, R"({"error":{"code":429,"message":"wrapped"}})", rate_limited, "429"},
    {"gemini", 429, R"({"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"34s"}]}})", quota_exhausted, "429"},
    {"gemini", 429, R"({"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]},{"retryDelay":"34s"}]}})", rate_limited, "429"},
    {"gemini", 429, R"({"error":{"code":429,"message":"Quota exceeded.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"reason":"RATE_LIMIT_EXCEEDED"}]}})", quota_exhausted, "429"},
    {"google", 429, R"({"error":{"code":429,"message":"* Quota exceeded for metric: a, limit: 0, model: m\nPlease retry in 34s.","status":"RESOURCE_EXHAUSTED"}})", quota_exhausted, "429"},
    {"google", 429, R"({"error":{"code":429,"message":"* Quota exceeded for metric: a, limit: 0\nPlease retry in 34s.","status":"RESOURCE_EXHAUSTED"}})", quota_exhausted, "429"},
    {"google", 429, R"({"error":{"code":429,"message":"* Quota exceeded for metric: a, limit: 05, model: m","status":"RESOURCE_EXHAUSTED"}})", rate_limited, "429"},
    {"anthropic", 400, R"({"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}})", quota_exhausted, "invalid_request_error"},
    {"anthropic", 400, R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}})", context_window_exceeded, "invalid_request_error"},
    {"anthropic", 404, R"({"type":"error","error":{"type":"not_found_error","message":"model: x"}})", model_not_found, "not_found_error"},
    {"anthropic", 413, "<html>", context_window_exceeded, ""},
    {"anthropic", 529, R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})", overloaded, "overloaded_error"},
    {"ollama", 400, R"({"error":{"message":"\"m\" does not support tools","type":"api_error"}})", unsupported_capability, "api_error"},
    {"ollama", 401, R"({"error":{"message":"Unauthorized","type":"api_error","code":null}})", authentication, "api_error"},
    // clang-format on
};

}  // namespace

TEST_CASE("each provider's refusals mean what they mean") {
  for (const Row& row : rows) {
    CAPTURE(row.provider, row.status, row.body);
    const Error error = classified(row.provider, row.status, row.body);
    CHECK(to_string(error.kind) == to_string(row.kind));
    CHECK(error.code == row.code);
    CHECK(error.http_status == row.status);
    CHECK_FALSE(error.message.empty());
  }
}

TEST_CASE("of a page only the beginning is searched for words") {
  const std::string words = "Incorrect API key";
  CHECK(classified("openai", 500, "<html>" + words).kind == authentication);
  CHECK(classified("openai", 500, "<html>" + std::string(500, 'x') + words).kind == server_error);
  // A message of the provider's own is searched to its end.
  CHECK(classified("openai", 500, R"({"error":")" + std::string(1000, 'x') + words + "\"}").kind == authentication);
}

TEST_CASE("a status inside an error that came under 200 decides, where it is one of a failure") {
  CHECK(classified("openrouter", 200, R"({"error":{"code":503,"message":"x"}})").kind == overloaded);
  CHECK(classified("openrouter", 200, R"({"error":{"code":"429","message":"x"}})").kind == rate_limited);
  CHECK(classified("openrouter", 200, R"({"error":{"status_code":401,"message":"x"}})").kind == authentication);
  for (const char* code : {"200", "399", "600", "-503", "\"503 x\""}) {
    CAPTURE(code);
    const std::string body = R"({"error":{"message":"x","code":)" + std::string{code} + "}}";
    CHECK(classified("openrouter", 200, body).kind == server_error);
  }
}

TEST_CASE("a type that only says that it is an error is no code") {
  CHECK(classified("anthropic", 500, R"({"type":"error","message":"x"})").code.empty());
  CHECK(classified("mistral", 500, R"({"type":"odd_error","message":"x"})").code == "odd_error");
}

TEST_CASE("AWS names the type of an error in a header where the body has none") {
  const Error error = classified("bedrock", 400, R"({"message":"no"})",
                                 {{"x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/"}});
  CHECK(error.kind == rate_limited);
  CHECK(error.code == "ThrottlingException");
}

TEST_CASE("the words of a refusal are those that say most") {
  CHECK(classified("nvidia", 422, R"({"detail":[{"loc":["body","tools"],"msg":"Field required"},{"msg":"Bad"}]})")
            .provider_message == R"(["body","tools"]: Field required; Bad)");
  CHECK(classified("openrouter", 502, R"({"error":{"message":"Provider returned error","metadata":{"raw":"no room"}}})")
            .provider_message == "Provider returned error: no room");
  CHECK(classified("openrouter", 403, R"({"error":{"message":"flagged","metadata":{"reasons":["violence"]}}})")
            .provider_message == R"(flagged ["violence"])");
}

TEST_CASE("Google's delay stands among the details of its error") {
  const Error error = classified("gemini", 429, R"({"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
    {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}})");
  CHECK(error.kind == rate_limited);
  CHECK(error.retry_after == 34500ms);
}

TEST_CASE("without a status of a failure its generic type decides") {
  const auto kind_of_type = [](const char* type) {
    ProviderFailure failure;
    failure.type = type;
    return kind_of(failure, "openai", 200);
  };
  CHECK(kind_of_type("invalid_request_error") == invalid_request);
  CHECK(kind_of_type("api_error") == server_error);
  CHECK(kind_of_type("") == server_error);
}

TEST_CASE("a wait in the words of a refusal comes along") {
  const Error error = classified("github", 429, R"({"error":{"code":"RateLimitReached","message":"Please wait 5631 seconds before retrying."}})");
  CHECK(error.kind == rate_limited);
  CHECK(error.retry_after == 5631s);
}

TEST_CASE("a request that can never fit the limit is not to be repeated") {
  const Error error = classified("groq", 413, R"({"error":{"message":"Request too large for model `m`: Limit 8000, Requested 10098","code":"rate_limit_exceeded"}})");
  CHECK(error.should_retry == false);
  // Either half of it alone is about the moment: the next request may fit.
  for (const std::string_view said : {"Request too large for now", "Limit 8000, Used 7990, Requested 98"}) {
    CAPTURE(said);
    const std::string body = R"({"error":{"message":")" + std::string{said} + R"(","code":"rate_limit_exceeded"}})";
    CHECK_FALSE(classified("groq", 429, body).should_retry);
  }
}

TEST_CASE("hints and ids of a refusal come along") {
  const Error error = classified("openai", 503, "", {{"Retry-After", "4"}, {"x-should-retry", "true"}, {"x-request-id", "req_1"}});
  CHECK(error.retry_after == 4s);
  CHECK(error.should_retry == true);
  CHECK(error.request_id == "req_1");
  CHECK(error.replay == ReplaySafety::not_sent);
}

TEST_CASE("how safe a replay is depends on who failed") {
  for (const int status : {400, 401, 403, 404, 409, 413, 422, 429, 499, 503, 529}) {
    CAPTURE(status);
    CHECK(classified("openai", status, "").replay == ReplaySafety::not_sent);
  }
  for (const int status : {408, 500, 502, 504, 520, 524}) {
    CAPTURE(status);
    CHECK(classified("openai", status, "").replay == ReplaySafety::maybe_processed);
  }
}

TEST_CASE("each status alone has its meaning") {
  struct Status {
    int status;
    ErrorKind kind;
  };
  for (const Status& row :
       {Status{400, invalid_request}, Status{401, authentication}, Status{402, quota_exhausted}, Status{403, permission},
        Status{404, model_not_found}, Status{405, invalid_request}, Status{408, timeout}, Status{409, invalid_request},
        Status{410, model_not_found}, Status{413, context_window_exceeded}, Status{422, invalid_request},
        Status{424, server_error}, Status{425, rate_limited}, Status{429, rate_limited}, Status{498, overloaded},
        Status{499, overloaded}, Status{500, server_error}, Status{502, server_error}, Status{503, overloaded},
        Status{504, server_error}, Status{529, overloaded}, Status{302, malformed_response}}) {
    CAPTURE(row.status);
    CHECK(to_string(kind_of_status(row.status)) == to_string(row.kind));
  }
}

TEST_CASE("a provider's id of the request is found in whichever header it uses, else in the body") {
  for (const char* name : {"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid",
                           "mistral-correlation-id", "inference-id"}) {
    CAPTURE(name);
    CHECK(classified("openai", 500, "", {{name, "r1"}}).request_id == "r1");
  }
  CHECK(classified("openai", 500, R"({"error":{"message":"x","request_id":"r1"}})").request_id == "r1");
  CHECK(classified("openai", 500, R"({"error":{"message":"x"},"request_id":"r1"})").request_id == "r1");
  CHECK(classified("openai", 500, R"({"message":"x","request_id":"r1"})").request_id == "r1");
  CHECK(classified("openai", 500, R"({"request_id":"body"})", {{"request-id", "head"}}).request_id == "head");
}

TEST_CASE("a key that the provider echoes is masked") {
  const Error error = classified("openai", 401, R"({"error":{"message":"bad key sk-secret-0123456789!","code":"sk-secret-0123456789"}})");
  CHECK(error.provider_message == "bad key ***!");
  CHECK(error.message == "the provider does not accept the key");
  CHECK(error.code == "***");
  CHECK(classified("openai", 500, "echo: sk-secret-0123456789").provider_message == "echo: ***");
  CHECK(classified("openai", 500, "", {{"x-request-id", "for sk-secret-0123456789"}}).request_id == "for ***");
  CHECK(classified("openai", 500, R"({"message":"x","request_id":"sk-secret-0123456789"})").request_id == "***");
}

TEST_CASE("a key that stands where the words are cut is masked whole") {
  for (std::size_t before = 470; before <= 500; ++before) {
    CAPTURE(before);
    const std::string body = std::string(before, 'x') + "sk-secret-0123456789 and more";
    for (const Error& error : {classified("openai", 500, body), classified("openai", 500, R"({"message":")" + body + "\"}")}) {
      CHECK(error.provider_message.find("sk-") == std::string::npos);
      CHECK(error.provider_message.size() <= 503);
    }
  }
}

TEST_CASE("what is ours says nothing that the provider said") {
  for (const Row& row : rows) {
    CAPTURE(row.provider, row.status, row.body);
    const Error error = classified(row.provider, row.status, row.body);
    const bool ours = error.message == sentence_of(error.kind) || error.message.starts_with("the server answered with a") ||
                      error.message == "the provider refused the request and did not say why";
    CHECK(ours);
  }
  const Error error = classified("openai", 400, R"({"error":{"message":"Invalid content: 'my secret prompt'","code":null}})");
  CHECK(error.message.find("prompt") == std::string::npos);
  CHECK(error.provider_message == "Invalid content: 'my secret prompt'");
}

TEST_CASE("a key in a header of the target's own is masked too") {
  Endpoint endpoint = endpoint_of("openai");
  endpoint.headers = {{"Authorization", "Bearer other-secret"}, {"x-my-token", "tok-4711"}};
  const HttpResponseHead head{401, {}};
  const Secrets secrets = secrets_of(endpoint);
  const Error error = classify_body(R"({"error":"other-secret is wrong, and so is tok-4711"})",
                                    FailureSource{endpoint, head, WallTime{}, secrets});
  CHECK(error.provider_message == "*** is wrong, and so is ***");
}

TEST_CASE("a provider's words are bounded, valid and free of control characters") {
  const std::string endless(100'000, 'x');
  CHECK(classified("openai", 500, R"({"error":{"message":")" + endless + "\"}}").provider_message.size() < 600);
  CHECK(classified("openai", 500, endless).provider_message.size() < 600);
  CHECK(classified("openai", 500, "a\xFF\x1B[31mb").provider_message == "a\xEF\xBF\xBD [31mb");
}

TEST_CASE("a redirect says where to") {
  const Error error = classified("openai", 301, "", {{"location", "https://elsewhere.test/"}});
  CHECK(error.provider_message == "a redirect to https://elsewhere.test/");
  CHECK(error.message == "the server answered with a redirect, and redirects are not followed");
}

TEST_CASE("errors inside an answer are told from answers") {
  const auto is_failure = [](std::string_view text) {
    const JsonDocument document{text};
    REQUIRE(document.valid());
    return holds_failure(document.root());
  };
  CHECK(is_failure(R"({"error":{"message":"no"}})"));
  CHECK(is_failure(R"({"error":"no","code":"x"})"));
  CHECK(is_failure(R"({"object":"error","message":"no"})"));
  CHECK(is_failure(R"({"type":"error","error":{"type":"overloaded_error"}})"));
  CHECK(is_failure(R"({"choices":[],"error":{"code":502}})"));
  CHECK(is_failure(R"({"request_id":"r","code":"Throttling","message":"no"})"));
  CHECK(is_failure(R"([{"error":{"code":503}}])"));
  CHECK_FALSE(is_failure(R"({"error":null,"choices":[]})"));
  CHECK_FALSE(is_failure(R"({"error":{},"choices":[]})"));
  CHECK_FALSE(is_failure(R"({"error":"","choices":[]})"));
  CHECK_FALSE(is_failure(R"({"id":"x","choices":[{"message":{"content":"error"}}]})"));
  CHECK_FALSE(is_failure(R"({"type":"message_start","message":{"id":"m"}})"));
  CHECK_FALSE(is_failure("[1]"));
  CHECK_FALSE(is_failure("3"));
}

}  // namespace error_classifier_test
