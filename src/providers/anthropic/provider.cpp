#include "backstop/providers/anthropic.hpp"

#include <memory>

#include "format.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {

Provider anthropic(ModelOptions options) {
  constexpr detail::ProviderDefaults defaults{"anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"};
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  endpoint.reports_usage_in_streams = true;
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::AnthropicFormat>());
}

}  // namespace backstop::inline v0
