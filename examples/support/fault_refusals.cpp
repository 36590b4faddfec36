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

/// A refusal that OpenAI and Anthropic word and number differently.
struct Refusal {
  int status;
  ErrorWords words;
};

Behaviour refused(std::string name, Refusal openai, Refusal anthropic, HeaderList headers = {}) {
  return scripted(std::move(name), [=](const ReceivedRequest& request) {
    const auto& said = wire_spoken(request) == Wire::anthropic ? anthropic : openai;
    return sending(json_response(said.status, headers, error_body(wire_spoken(request), said.words)));
  });
}

}  // namespace

Behaviour status(int code, HeaderList headers, std::string body) {
  return scripted("status " + std::to_string(code), [=](const ReceivedRequest& request) {
    const auto words = error_body(wire_spoken(request), words_for_status(code));
    return sending(json_response(code, headers, body.empty() ? words : body));
  });
}

Behaviour rate_limited(std::chrono::seconds retry_after) {
  const Refusal openai{429, {"requests", "Rate limit reached for requests.", "rate_limit_exceeded"}};
  const Refusal anthropic{429, {"rate_limit_error", "This request would exceed your rate limit.", {}}};
  return refused("rate_limited", openai, anthropic, {{"retry-after", std::to_string(retry_after.count())}});
}

Behaviour quota_exhausted() {
  const Refusal openai{429, {"insufficient_quota", "You exceeded your current quota.", "insufficient_quota"}};
  const Refusal anthropic{400, {"invalid_request_error", "Your credit balance is too low to access the API.", {}}};
  return refused("quota_exhausted", openai, anthropic);
}

Behaviour overloaded(HeaderList headers) {
  const Refusal openai{503, {"server_error", "The engine is currently overloaded, please try again later", {}}};
  return refused("overloaded", openai, {529, {"overloaded_error", "Overloaded", {}}}, std::move(headers));
}

Behaviour unauthorized() {
  const Refusal openai{401, {"invalid_request_error", "Incorrect API key provided.", "invalid_api_key"}};
  return refused("unauthorized", openai, {401, {"authentication_error", "invalid x-api-key", {}}});
}

Behaviour context_too_long() {
  const Refusal openai{400,
                       {"invalid_request_error",
                        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 "
                        "tokens.",
                        "context_length_exceeded"}};
  const Refusal anthropic{400, {"invalid_request_error", "prompt is too long: 9000 tokens > 8192 maximum", {}}};
  return refused("context_too_long", openai, anthropic);
}

Behaviour content_filtered(std::string reason) {
  const Refusal refusal{400, {"invalid_request_error", std::move(reason), "content_policy_violation"}};
  return refused("content_filtered", refusal, refusal);
}

Behaviour model_not_found() {
  const Refusal openai{404, {"invalid_request_error", "The model does not exist.", "model_not_found"}};
  return refused("model_not_found", openai, {404, {"not_found_error", "model: fault-model", {}}});
}

Behaviour html_502() {
  const std::string page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body>\r\n</html>\r\n";
  return fixed("html_502", sending(whole_response(502, {{"content-type", "text/html"}}, page)));
}

}  // namespace backstop::faults
