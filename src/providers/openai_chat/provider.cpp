#include "backstop/providers/openai.hpp"

#include <memory>
#include <stdexcept>
#include <utility>

#include "backstop/providers/azure.hpp"
#include "dialect.hpp"
#include "format.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {
namespace {

Provider make(detail::Endpoint endpoint, const detail::OpenAiDialect& dialect) {
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::OpenAiChat>(dialect));
}

}  // namespace

Provider openai(ModelOptions options) { return *known_provider("openai", std::move(options)); }

Provider ollama(ModelOptions options) { return *known_provider("ollama", std::move(options)); }

Provider openai_compatible(ModelOptions options) {
  if (options.name.empty()) throw std::invalid_argument{"openai_compatible: `name` is needed, such as \"my-server\""};
  if (options.base_url.empty()) {
    throw std::invalid_argument{options.name + ": `base_url` is needed, such as http://localhost:8080/v1"};
  }
  if (auto known = known_provider(options.name, options)) return *std::move(known);
  const detail::ProviderDefaults defaults{options.name, {}, {}, false, true};
  return make(detail::resolve_endpoint(options, defaults), detail::unknown_dialect);
}

std::optional<Provider> known_provider(std::string_view name, ModelOptions options) {
  const detail::KnownProvider* known = detail::find_known_provider(name);
  if (known == nullptr) return std::nullopt;
  if (options.name.empty()) options.name = name;
  if (known->defaults.name == "azure") return azure(std::move(options));
  detail::ProviderDefaults defaults = known->defaults;
  defaults.audio = true;
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  if (known->defaults.name == "ollama" && !endpoint.base_url.ends_with("/v1")) endpoint.base_url += "/v1";
  endpoint.reports_usage_in_streams = true;
  if (!known->company.empty()) endpoint.provider = known->company;
  return make(std::move(endpoint), known->dialect);
}

}  // namespace backstop::inline v0
