#include "backstop/providers/anthropic.hpp"

#include <memory>

#include "anthropic_format.hpp"
#include "http_engine.hpp"
#include "resolve_endpoint.hpp"

namespace backstop::inline v0 {

Provider anthropic(ModelOptions options) {
  constexpr detail::ProviderDefaults defaults{"anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY"};
  return detail::http_provider(detail::resolve_endpoint(options, defaults),
                               std::make_shared<const detail::AnthropicFormat>());
}

}  // namespace backstop::inline v0
