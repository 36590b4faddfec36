#include "backstop/providers/cohere.hpp"

#include <memory>
#include <string_view>
#include <utility>

#include "format.hpp"
#include "key_variable.hpp"
#include "providers/http/environment.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {

std::string_view detail::cohere_key_variable() noexcept {
  return from_environment("CO_API_KEY").empty() ? "COHERE_API_KEY" : "CO_API_KEY";
}

Provider cohere(ModelOptions options) {
  const detail::ProviderDefaults defaults{"cohere", "https://api.cohere.com", detail::cohere_key_variable()};
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  endpoint.reports_usage_in_streams = true;
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::CohereFormat>());
}

}  // namespace backstop::inline v0
