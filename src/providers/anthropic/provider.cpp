#include "backstop/providers/anthropic.hpp"

#include <memory>
#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "format.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

[[nodiscard]] const AnthropicPlatform& platform_of(std::string_view version, std::string_view model) {
  for (const AnthropicPlatform* platform : {&anthropic_itself, &anthropic_since_2026}) {
    if (platform->at.version == version) return *platform;
  }
  throw std::invalid_argument{fmt::format("anthropic/{}: `api_version` is \"{}\"; it must be \"{}\" or \"{}\"", model,
                                          version, anthropic_itself.at.version, anthropic_since_2026.at.version)};
}

}  // namespace
}  // namespace detail

Provider anthropic(ModelOptions options, AnthropicOptions anthropic) {
  constexpr detail::ProviderDefaults defaults{"anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"};
  const detail::AnthropicPlatform& platform = detail::platform_of(anthropic.api_version, options.model);
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  endpoint.reports_usage_in_streams = true;
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::AnthropicFormat>(platform));
}

}  // namespace backstop::inline v0
