#include "azure.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "format.hpp"
#include "providers/http/environment.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/key_ring.hpp"
#include "providers/http/request_headers.hpp"
#include "providers/http/resolve_endpoint.hpp"
#include "text/percent.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

constexpr std::string_view token_variable = "AZURE_OPENAI_AD_TOKEN";

[[nodiscard]] std::string usual_address(const ModelOptions& options, const AzureOptions& azure) {
  const auto refuse = [&](std::string_view why) {
    throw std::invalid_argument{fmt::format("azure/{}: {}", options.model, why)};
  };
  if (azure.resource.empty()) {
    const std::string address{azure_address()};
    if (address.empty() && options.base_url.empty()) {
      refuse("`resource` or `base_url` is needed, or the environment variable AZURE_OPENAI_ENDPOINT");
    }
    return address;
  }
  if (!options.base_url.empty()) refuse("`resource` and `base_url` are given; one of them is enough");
  const std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
  if (azure.resource.find_first_not_of(letters) != std::string::npos) {
    refuse("`resource` has characters that no resource has; it is the first part of the host's name");
  }
  return fmt::format("https://{}.openai.azure.com", azure.resource);
}

[[nodiscard]] bool has_token(const ModelOptions& options) noexcept {
  if (!options.credentials.empty()) return KeyRing::of(options.credentials).renewed() != nullptr;
  if (!options.api_key_env.empty()) return options.api_key_env == token_variable;
  return options.api_key.empty() && azure_key_variable() == token_variable;
}

/// The address in front of `/chat/completions`.
[[nodiscard]] std::string prefix_at(std::string_view base_url, std::string_view deployment,
                                    std::string_view api_version) {
  const std::string_view path = base_url.substr(0, base_url.find('?'));
  const bool is_host = path.find('/', path.find("://") + 3) == std::string_view::npos;
  const bool is_root = path.ends_with("/openai");
  std::string rest;
  if (is_host || is_root) {
    rest = is_host ? "/openai" : "";
    rest += api_version.empty() ? "/v1" : "/deployments/" + percent_encoded(deployment);
  }
  const bool says_version = base_url.find("api-version=", path.size()) != std::string_view::npos;
  if (!api_version.empty() && !says_version) rest.append("?api-version=").append(percent_encoded(api_version));
  return address_below(base_url, rest);
}

}  // namespace

std::string_view azure_key_variable() noexcept {
  return from_environment(token_variable).empty() ? "AZURE_OPENAI_API_KEY" : token_variable;
}

std::string_view azure_address() noexcept { return from_environment("AZURE_OPENAI_ENDPOINT"); }

AzureTarget azure_target(const ModelOptions& options, const AzureOptions& azure, bool audio) {
  const std::string address = usual_address(options, azure);
  Endpoint endpoint = resolve_endpoint(options, {"azure", address, azure_key_variable(), true, audio});
  endpoint.base_url = prefix_at(endpoint.base_url, options.model, azure.api_version);
  endpoint.reports_usage_in_streams = true;
  OpenAiDialect dialect = find_known_provider("azure")->dialect;
  if (has_token(options)) dialect.key_header = "authorization";
  return {std::move(endpoint), dialect};
}

}  // namespace detail

Provider azure(ModelOptions options, AzureOptions azure) {
  detail::AzureTarget target = detail::azure_target(options, azure, true);
  return detail::http_provider(std::move(target.endpoint), std::make_shared<const detail::OpenAiChat>(target.dialect));
}

}  // namespace backstop::inline v0
