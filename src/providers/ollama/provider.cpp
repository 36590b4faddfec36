#include <memory>
#include <utility>

#include "backstop/providers/ollama_native.hpp"
#include "format.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {

Provider ollama_native(ModelOptions options) {
  const detail::ProviderDefaults defaults{"ollama", "http://localhost:11434", {}, false};
  detail::Endpoint endpoint = detail::resolve_endpoint(options, defaults);
  endpoint.reports_usage_in_streams = true;
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::OllamaFormat>());
}

}  // namespace backstop::inline v0
