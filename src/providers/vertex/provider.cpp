#include "backstop/providers/vertex.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "key_variable.hpp"
#include "providers/anthropic/format.hpp"
#include "providers/gemini/format.hpp"
#include "providers/http/environment.hpp"
#include "providers/http/http_engine.hpp"
#include "providers/http/key_ring.hpp"
#include "providers/http/request_headers.hpp"
#include "providers/http/resolve_endpoint.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

constexpr std::string_view projects = "/projects/";

// Source: the SDKs of Google and Anthropic.
[[nodiscard]] std::string usual_host(std::string_view location) {
  if (location == "global") return "https://aiplatform.googleapis.com";
  if (location == "us" || location == "eu") return fmt::format("https://aiplatform.{}.rep.googleapis.com", location);
  return fmt::format("https://{}-aiplatform.googleapis.com", location);
}

[[nodiscard]] std::string name_of(std::string_view option, std::string given, const char* variable,
                                  std::string_view otherwise, std::string_view model) {
  if (given.empty()) given = from_environment(variable);
  if (given.empty()) given = otherwise;
  const bool readable = given.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.:") == std::string::npos;
  if (readable && !given.empty()) return given;
  throw std::invalid_argument{
      fmt::format("vertex/{}: `{}` {}; give it, or set the environment variable {}", model, option,
                  given.empty() ? "is needed" : "has characters that none has", variable)};
}

/// The part of an address in front of its query.
[[nodiscard]] std::string_view path_of(std::string_view url) noexcept { return url.substr(0, url.find('?')); }

[[nodiscard]] bool is_token(const ModelOptions& options, const VertexOptions& google) noexcept {
  if (!google.project.empty() || path_of(options.base_url).find(projects) != std::string_view::npos) return true;
  if (!options.credentials.empty()) return KeyRing::of(options.credentials).renewed() != nullptr;
  if (!options.api_key_env.empty()) return options.api_key_env == vertex_token_variable;
  return options.api_key.empty() && vertex_key_variable(false) == vertex_token_variable;
}

/// `version`: of Google's API. `token`: the key is an access token, and the address has a project. `audio`: the wire
/// takes recordings.
[[nodiscard]] Endpoint vertex_endpoint(const ModelOptions& options, VertexOptions google, std::string_view version,
                                       bool token, bool audio) {
  const bool whole = path_of(options.base_url).find(projects) != std::string_view::npos;
  const bool needs_place = token && !whole;
  std::string location = "global";
  std::string place;
  if (needs_place) {
    const std::string project =
        name_of("project", std::move(google.project), "GOOGLE_CLOUD_PROJECT", {}, options.model);
    location = name_of("location", std::move(google.location), "GOOGLE_CLOUD_LOCATION", location, options.model);
    place = fmt::format("{}{}/locations/{}", projects, project, location);
  }
  const std::string host = usual_host(location);
  const ProviderDefaults defaults{"vertex", host, vertex_key_variable(token), true, audio};
  Endpoint endpoint = resolve_endpoint(options, defaults);
  const std::string_view path = path_of(endpoint.base_url);
  const bool versioned = whole || path.ends_with("/v1") || path.ends_with("/v1beta1");
  endpoint.base_url = address_below(endpoint.base_url, std::string{versioned ? std::string_view{} : version} + place);
  if (endpoint.key_hint.ends_with(vertex_token_variable)) {
    endpoint.key_hint.insert(0, "give an access token with `credentials_from`, or ");
  }
  endpoint.reports_usage_in_streams = true;
  return endpoint;
}

constexpr std::string_view express_key_header = "x-goog-api-key";

constexpr GeminiPlatform vertex_gemini{.at = {.path = "/{model}:generateContent",
                                              .stream_path = "/{model}:streamGenerateContent?alt=sse",
                                              .collection = "publishers/google/models/"},
                                       .call_ids = false};

constexpr AnthropicPlatform vertex_claude{.at = {.path = "/{model}:rawPredict",
                                                 .stream_path = "/{model}:streamRawPredict",
                                                 .collection = "publishers/anthropic/models/",
                                                 .version = "vertex-2023-10-16"},
                                          .rules = "vertex_anthropic",
                                          .service_tiers = false,
                                          .enforces_schema = false,
                                          .fetches_files = false};

}  // namespace

std::string_view vertex_key_variable(bool needs_token) noexcept {
  const bool is_set = !from_environment(vertex_token_variable).empty();
  return needs_token || is_set ? vertex_token_variable : "GOOGLE_API_KEY";
}

}  // namespace detail

Provider vertex(ModelOptions options, VertexOptions google) {
  const bool token = detail::is_token(options, google);
  detail::GeminiPlatform platform = detail::vertex_gemini;
  if (!token) platform.at.key_header = detail::express_key_header;
  detail::Endpoint endpoint =
      detail::vertex_endpoint(options, std::move(google), token ? "/v1beta1" : "/v1", token, true);
  endpoint.provider = "google";
  return detail::http_provider(std::move(endpoint), std::make_shared<const detail::GeminiFormat>(platform));
}

Provider vertex_anthropic(ModelOptions options, VertexOptions google) {
  detail::Endpoint endpoint = detail::vertex_endpoint(options, std::move(google), "/v1", true, false);
  endpoint.provider = "anthropic";
  return detail::http_provider(std::move(endpoint),
                               std::make_shared<const detail::AnthropicFormat>(detail::vertex_claude));
}

}  // namespace backstop::inline v0
