#include <algorithm>

#include "backstop/testing/virtual_clock.hpp"
#include "fuzz/targets.hpp"
#include "providers/failure/error_classifier.hpp"
#include "providers/failure/rate_limit_headers.hpp"
#include "providers/failure/retry_hints.hpp"
#include "text/duration.hpp"

namespace backstop::fuzz {
namespace {

constexpr std::string_view key = "sk-a-key-that-is-secret";

HttpResponseHead head_of(std::string_view lines) {
  HttpResponseHead head;
  while (!lines.empty() && head.headers.size() < 100) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view value = line.substr(std::min(colon + 1, line.size()));
    head.headers.emplace_back(std::string{line.substr(0, colon)}, std::string{value});
  }
  return head;
}

void check_limit(const std::optional<std::int64_t>& count) {
  require(!count || *count >= 0, "a limit is below zero");
}

}  // namespace

/// A refusal, head and body: hints are believable spans, what is said of it is bounded and holds no key.
void failures(std::string_view bytes) {
  Input input{bytes};
  constexpr std::string_view providers[] = {"openai", "anthropic", "google", "groq",
                                            "zai",    "bedrock",   "cloudflare", "x"};
  constexpr int statuses[] = {200, 400, 401, 403, 404, 413, 429, 500, 503, 529};
  const std::string_view provider = providers[input.byte() % std::size(providers)];
  const int status = statuses[input.byte() % std::size(statuses)];
  const std::string_view rest = input.rest();
  const std::size_t blank = std::min(rest.find("\n\n"), rest.size());
  HttpResponseHead head = head_of(rest.substr(0, blank));
  head.status = status;
  const std::string_view body = rest.substr(std::min(blank + 2, rest.size()));

  detail::Endpoint endpoint;
  endpoint.target = Target{provider, "m"};
  endpoint.provider = provider;
  detail::Secrets secrets;
  secrets.add(key);
  const auto now = WallTime{std::chrono::hours{24 * 365 * 56}};
  const Error error = detail::classify_body(body, {endpoint, head, now, secrets});
  require(!error.message.empty() && error.message.size() < 1000, "what is said of a failure is empty or long");
  require(error.provider_message.size() <= 10'000, "the provider's words are not bounded");
  for (const std::string* text : {&error.message, &error.provider_message, &error.code, &error.request_id}) {
    require(text->find(key) == std::string::npos, "a key stands in what is said of a failure");
  }
  if (error.retry_after) {
    require(*error.retry_after > Duration{0} && *error.retry_after <= detail::longest_wait, "a hint is not believable");
  }
  testing::VirtualClock clock;
  if (const auto limits = detail::rate_limit_status(head, clock)) {
    for (const RateLimitWindow& limit :
         {limits->requests, limits->tokens, limits->input_tokens, limits->output_tokens}) {
      check_limit(limit.limit);
      check_limit(limit.remaining);
    }
  }
  static_cast<void>(detail::should_retry_hint(head));
  static_cast<void>(detail::request_id_of(head));
}

}  // namespace backstop::fuzz
