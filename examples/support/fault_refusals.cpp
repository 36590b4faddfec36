#include <utility>

#include "fault_behaviour.hpp"
#include "fault_http.hpp"

namespace backstop::faults {
namespace {

Wire wire_spoken(const ReceivedRequest& request) { return request.wire().value_or(Wire::openai); }

ErrorWords words_for_status(int code) {
  switch (code) {
    case 401:
      return {"authentication_error", "Invalid key.", "invalid_api_key"};
    case 403:
      return {"permission_error", "Not permitted.", {}};
    case 404:
      return {"not_found_error", "Not found.", {}};
    case 429:
      return {"rate_limit_error", "Too many requests.", "rate_limit_exceeded"};
    case 529:
      return {"overloaded_error", "Overloaded", {}};
    default:
      break;
  }
  if (code < 500) return {"invalid_request_error", "Invalid request.", {}};
  return {"api_error", "The server had an error while processing your request.", {}};
}

struct Refusal {
  int status;
  ErrorWords words;
};

/// A refusal that every provider words and numbers differently.
struct Refusals {
  Refusal openai;
  Refusal anthropic;
  Refusal gemini;
  Refusal cohere;
  Refusal ollama;
  Refusal bedrock;

  [[nodiscard]] const Refusal& on(Wire wire) const {
    switch (wire) {
      case Wire::anthropic:
        return anthropic;
      case Wire::gemini:
        return gemini;
      case Wire::cohere:
        return cohere;
      case Wire::ollama:
        return ollama;
      case Wire::bedrock:
      case Wire::invoke:
        return bedrock;
      case Wire::openai:
      case Wire::responses:
        break;
    }
    return openai;
  }
};

/// Where a wire has words only.
Refusal saying(int status, std::string message) { return {status, {{}, std::move(message), {}}}; }

Behaviour refused(std::string name, Refusals refusals, HeaderList headers = {}) {
  return scripted(std::move(name), [=](const ReceivedRequest& request) {
    const Wire wire = wire_spoken(request);
    const Refusal& said = refusals.on(wire);
    HeaderList all = headers;
    if (is_binary(wire)) all.emplace_back("x-amzn-errortype", said.words.type);
    return sending(json_response(said.status, std::move(all), error_body(wire, said.words, said.status)));
  });
}

}  // namespace

Behaviour status(int code, HeaderList headers, std::string body) {
  return scripted("status " + std::to_string(code), [=](const ReceivedRequest& request) {
    const auto words = error_body(wire_spoken(request), words_for_status(code), code);
    return sending(json_response(code, headers, body.empty() ? words : body));
  });
}

Behaviour rate_limited(std::chrono::seconds retry_after) {
  return refused("rate_limited",
                 {{429, {"requests", "Rate limit reached for requests.", "rate_limit_exceeded"}},
                  {429, {"rate_limit_error", "This request would exceed your rate limit.", {}}},
                  saying(429, "You exceeded your current quota, please check your plan and billing details."),
                  saying(429, "You are past the per minute request limit, please wait and try again later."),
                  saying(429, "too many concurrent requests"),
                  {429, {"ThrottlingException", "Too many requests, please wait before trying again.", {}}}},
                 {{"retry-after", std::to_string(retry_after.count())}});
}

Behaviour quota_exhausted() {
  return refused("quota_exhausted",
                 {{429, {"insufficient_quota", "You exceeded your current quota.", "insufficient_quota"}},
                  {400, {"invalid_request_error", "Your credit balance is too low to access the API.", {}}},
                  saying(429, "Quota exceeded for metric: generate_content_requests, limit: 0, model: fault-model"),
                  saying(402, "payment required"),
                  saying(402, "payment required"),
                  {400, {"ServiceQuotaExceededException", "Your request exceeds the service quota.", {}}}});
}

Behaviour overloaded(HeaderList headers) {
  return refused("overloaded",
                 {{503, {"server_error", "The engine is currently overloaded, please try again later", {}}},
                  {529, {"overloaded_error", "Overloaded", {}}},
                  saying(503, "The model is overloaded. Please try again later."),
                  saying(503, "the service is unavailable"),
                  saying(503, "server busy, please try again. maximum pending requests exceeded"),
                  {503, {"ServiceUnavailableException", "The service is busy. Try again later.", {}}}},
                 std::move(headers));
}

Behaviour unauthorized() {
  return refused("unauthorized", {{401, {"invalid_request_error", "Incorrect API key provided.", "invalid_api_key"}},
                                  {401, {"authentication_error", "invalid x-api-key", {}}},
                                  saying(400, "API key not valid. Please pass a valid API key."),
                                  saying(401, "invalid api token"),
                                  saying(401, "unauthorized"),
                                  {403,
                                   {"UnrecognizedClientException",
                                    "The security token included in the request is invalid.", {}}}});
}

Behaviour context_too_long() {
  return refused(
      "context_too_long",
      {{400,
        {"invalid_request_error",
         "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
         "context_length_exceeded"}},
       {400, {"invalid_request_error", "prompt is too long: 9000 tokens > 8192 maximum", {}}},
       saying(400, "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."),
       saying(400, "too many tokens: size limit exceeded by 808 tokens."),
       saying(400, "the input length exceeds the context length"),
       {400, {"ValidationException", "Input is too long for requested model.", {}}}});
}

Behaviour content_filtered(std::string reason) {
  const Refusal refusal{400, {"invalid_request_error", std::move(reason), "content_policy_violation"}};
  return refused("content_filtered", {refusal, refusal, refusal, refusal, refusal, refusal});
}

Behaviour model_not_found() {
  return refused("model_not_found", {{404, {"invalid_request_error", "The model does not exist.", "model_not_found"}},
                                     {404, {"not_found_error", "model: fault-model", {}}},
                                     saying(404, "models/fault-model is not found for API version v1beta"),
                                     saying(404, "model 'fault-model' not found"),
                                     saying(404, "model 'fault-model' not found"),
                                     {404, {"ResourceNotFoundException", "The model does not exist.", {}}}});
}

Behaviour html_502() {
  const std::string page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n";
  return fixed("html_502", sending(whole_response(502, {{"content-type", "text/html"}}, page)));
}

}  // namespace backstop::faults
