#include "backstop/providers/gemini.hpp"

#include <memory>
#include <string_view>

#include "format.hpp"
#include "key_variable.hpp"
#include "providers/http/environment.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {

std::string_view detail::gemini_key_variable() noexcept {
  return from_environment("GOOGLE_API_KEY").empty() ? "GEMINI_API_KEY" : "GOOGLE_API_KEY";
}

Provider gemini(ModelOptions options) {
  const detail::ProviderDefaults defaults{"google", "https://generativelanguage.googleapis.com",
                                          detail::gemini_key_variable(), true, true};
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  endpoint.reports_usage_in_streams = true;
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::GeminiFormat>());
}

}  // namespace backstop::inline v0
