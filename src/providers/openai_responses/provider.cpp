#include "backstop/providers/openai_responses.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "format.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"
#include "providers/openai_chat/azure.hpp"

namespace backstop::inline v0 {
namespace {

Provider make(detail::Endpoint endpoint, const detail::OpenAiDialect& dialect, ResponsesOptions responses) {
  auto format = std::make_shared<const detail::OpenAiResponses>(dialect, std::move(responses.reasoning_summary));
  return detail::http_provider(std::move(endpoint), std::move(format));
}

}  // namespace

Provider openai_responses(ModelOptions options, ResponsesOptions responses) {
  if (options.name.empty()) options.name = "openai";
  if (options.name == "azure") {
    detail::AzureTarget azure = detail::azure_target(options, {}, false);
    return make(std::move(azure.endpoint), azure.dialect, std::move(responses));
  }
  // Policy files name the wire in the provider's place.
  const std::string known_name = options.name == "openai_responses" ? "openai" : options.name;
  const detail::KnownProvider* known = detail::find_known_provider(known_name);
  if (known == nullptr && options.base_url.empty()) {
    throw std::invalid_argument{options.name + ": `base_url` is needed, such as http://localhost:8080/v1"};
  }
  const detail::ProviderDefaults other{options.name, {}, {}, false};
  detail::Endpoint endpoint = detail::resolve_endpoint(options, known == nullptr ? other : known->defaults);
  if (endpoint.provider == "ollama" && !endpoint.base_url.ends_with("/v1")) endpoint.base_url += "/v1";
  endpoint.reports_usage_in_streams = known != nullptr;
  return make(std::move(endpoint), known == nullptr ? detail::unknown_dialect : known->dialect, std::move(responses));
}

}  // namespace backstop::inline v0
