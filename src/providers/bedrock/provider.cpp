#include "backstop/providers/bedrock.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "format.hpp"
#include "key_variable.hpp"
#include "providers/http/environment.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/request_headers.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

constexpr std::string_view bearer_variable = "AWS_BEARER_TOKEN_BEDROCK";
constexpr std::string_view id_variable = "AWS_ACCESS_KEY_ID";

/// Of AWS's own addresses, such as https://bedrock-runtime.eu-west-1.amazonaws.com; empty for others.
[[nodiscard]] std::string_view region_in_address(std::string_view url) noexcept {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::string_view rest = url.substr(scheme + 3);
  const std::string_view host = rest.substr(0, rest.find_first_of(":/?"));
  if (!host.starts_with("bedrock-runtime") || host.find(".amazonaws.com") == std::string_view::npos) return {};
  const std::size_t begin = std::min(host.find('.') + 1, host.size());
  return host.substr(begin, host.find('.', begin) - begin);
}

/// arn:aws:bedrock:us-east-1:123456789012:inference-profile/...
[[nodiscard]] std::string_view region_in_arn(std::string_view model) noexcept {
  if (!model.starts_with("arn:")) return {};
  for (int colons = 0; colons < 3; ++colons) model.remove_prefix(std::min(model.find(':') + 1, model.size()));
  return model.substr(0, model.find(':'));
}

[[nodiscard]] std::string region_for(const ModelOptions& options, const BedrockOptions& aws) {
  std::string_view region = aws.region;
  if (region.empty()) region = region_in_address(options.base_url);
  if (region.empty()) region = from_environment("AWS_REGION");
  if (region.empty()) region = from_environment("AWS_DEFAULT_REGION");
  if (region.empty()) region = region_in_arn(options.model);
  const bool readable = region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
  if (readable && (!region.empty() || !options.base_url.empty())) return std::string{region};
  throw std::invalid_argument{
      fmt::format("bedrock/{}: `region` {}; give one such as us-east-1, or set the environment variable AWS_REGION",
                  options.model, region.empty() ? "is needed" : "has characters that no region has")};
}

[[nodiscard]] std::string usual_address(std::string_view region) {
  return fmt::format("https://bedrock-runtime.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
}

void sign_with(Endpoint& endpoint, std::string_view id, std::string_view secret, std::string_view token) {
  if (id.empty() || secret.empty()) return;  // a key is missing, which is an error of the call
  for (const std::string_view text : {id, secret, token}) {
    if (is_header_value(text)) continue;
    throw std::invalid_argument{endpoint.target.name() + ": the key holds line breaks or other control characters"};
  }
  endpoint.access_key_id = id;
  endpoint.api_key = secret;
  endpoint.session_token = token;
}

void check_keys(const ModelOptions& options, const BedrockOptions& aws) {
  const bool beside_another = !options.api_key.empty() || !options.api_key_env.empty() || !options.credentials.empty();
  const std::string_view problem =
      aws.access_key_id.empty() || aws.secret_access_key.empty()
          ? "`access_key_id` and `secret_access_key` belong together; one of them is missing"
      : beside_another ? "an access key and another key or `credentials` are given; one of them is enough"
                       : "";
  if (!problem.empty()) throw std::invalid_argument{fmt::format("bedrock/{}: {}", options.model, problem)};
}

/// A target with its key, and the region to sign for.
struct BedrockTarget {
  Endpoint endpoint;
  std::string region;
};

[[nodiscard]] BedrockTarget resolve(ModelOptions options, const BedrockOptions& aws) {
  const bool has_access_key =
      !aws.access_key_id.empty() || !aws.secret_access_key.empty() || !aws.session_token.empty();
  if (has_access_key) check_keys(options, aws);
  const bool signs = has_access_key || options.api_key_env == id_variable;
  if (signs && !has_access_key && (!options.api_key.empty() || !options.credentials.empty())) {
    throw std::invalid_argument{fmt::format(
        "bedrock/{}: `api_key_env` and another key or `credentials` are given; one of them is enough", options.model)};
  }
  if (signs) options.api_key_env.clear();
  const std::string region = region_for(options, aws);
  const std::string address = usual_address(region);
  const ProviderDefaults defaults{"bedrock", address, signs ? std::string_view{} : bearer_variable};
  Endpoint endpoint = resolve_endpoint(options, defaults);
  endpoint.needs_key = endpoint.needs_key || signs;
  const bool asks_environment = options.api_key_env.empty() || options.api_key_env == bearer_variable;
  if (has_access_key) {
    sign_with(endpoint, aws.access_key_id, aws.secret_access_key, aws.session_token);
  } else if (endpoint.api_key.empty() && endpoint.credentials.empty() && endpoint.needs_key && asks_environment) {
    sign_with(endpoint, from_environment(id_variable), from_environment("AWS_SECRET_ACCESS_KEY"),
              from_environment("AWS_SESSION_TOKEN"));
    endpoint.key_hint = signs ? "set the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                              : "set the environment variable AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and "
                                "AWS_SECRET_ACCESS_KEY";
  }
  endpoint.reports_usage_in_streams = true;
  return {std::move(endpoint), region};
}

}  // namespace

std::string_view bedrock_key_variable() noexcept {
  return from_environment(bearer_variable).empty() && !from_environment(id_variable).empty() ? id_variable
                                                                                             : bearer_variable;
}

}  // namespace detail

Provider bedrock(ModelOptions options, BedrockOptions aws) {
  detail::BedrockTarget target = detail::resolve(std::move(options), aws);
  return detail::http_provider(std::move(target.endpoint),
                               std::make_shared<const detail::BedrockFormat>(std::move(target.region)));
}

Provider bedrock_anthropic(ModelOptions options, BedrockOptions aws) {
  detail::BedrockTarget target = detail::resolve(std::move(options), aws);
  auto format = std::make_shared<const detail::BedrockMessagesFormat>(std::move(target.region),
                                                                      target.endpoint.target.model());
  return detail::http_provider(std::move(target.endpoint), std::move(format));
}

}  // namespace backstop::inline v0
