#include "resolve_endpoint.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "backstop/handover/needs.hpp"
#include "json/added_fields.hpp"
#include "environment.hpp"
#include "key_ring.hpp"
#include "request_headers.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

std::string in_quotes(std::string_view text) { return std::string{"\""}.append(text).append("\""); }

// http or https, a host, no blanks, no user information (keys do not belong into addresses).
std::string checked_base_url(std::string_view url, std::string_view who) {
  std::string_view rest = url;
  const bool known_scheme = equal_ignoring_case(rest.substr(0, 7), "http://") ||
                            equal_ignoring_case(rest.substr(0, 8), "https://");
  if (const std::size_t slashes = rest.find("//"); slashes != std::string_view::npos) rest.remove_prefix(slashes + 2);
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  if (host.find('@') != std::string_view::npos) {
    throw std::invalid_argument{std::string{who} + ": `base_url` must not hold a user name or password; give a key "
                                                   "with `api_key` or `api_key_env`"};
  }
  const bool clean = is_header_value(url) && url.find_first_of(" \t#") == std::string_view::npos;
  if (!known_scheme || host.empty() || host.front() == ':' || !clean) {
    throw std::invalid_argument{std::string{who} + ": `base_url` is " + in_quotes(url.substr(0, url.find('?'))) +
                                "; it must be an address such as https://host/v1"};
  }
  const std::size_t query = url.find('?');
  std::string path{url.substr(0, query)};
  while (path.ends_with('/')) path.pop_back();
  return query == std::string_view::npos ? path : path.append(url.substr(query));
}

bool is_on_this_machine(std::string_view base_url) noexcept {
  const std::size_t scheme = base_url.find("://");
  const std::string_view host = base_url.substr(scheme == std::string_view::npos ? 0 : scheme + 3);
  for (const std::string_view loopback : {"localhost", "127.0.0.1", "[::1]"}) {
    if (!equal_ignoring_case(host.substr(0, loopback.size()), loopback)) continue;
    const std::string_view rest = host.substr(loopback.size());
    if (rest.empty() || rest.front() == ':' || rest.front() == '/') return true;
  }
  return false;
}

/// On this machine it may be, but its models are elsewhere, and cost something.
bool is_gateway(std::string_view provider) noexcept {
  constexpr std::array<std::string_view, 5> gateways{"ccr", "litellm", "openrouter", "portkey", "vercel"};
  return std::find(gateways.begin(), gateways.end(), provider) != gateways.end();
}

ModelFacts facts_of(const ModelOptions& options, std::string_view provider, std::string_view base_url, bool audio) {
  ModelFacts facts = options.catalog.facts_for(provider, options.model);
  if (options.price) facts.price = options.price;
  if (options.context_window) facts.context_window = options.context_window;
  if (options.max_output_tokens) facts.max_output_tokens = options.max_output_tokens;
  if (options.capabilities) facts.capabilities = *options.capabilities;
  facts.capabilities.audio = facts.capabilities.audio && audio;
  facts.failure_domain = options.failure_domain;
  facts.defaults = options.defaults;
  facts.overrides = options.overrides;
  const bool nearby = !options.http.unix_socket.empty() || is_on_this_machine(base_url);
  facts.local = nearby && !is_gateway(provider);
  return facts;
}

void check_parameters(const Target& target, std::string_view name, const Parameters& own) {
  std::string problem = problem_with(own);
  if (problem.empty() && asks_for_reasoning(own.reasoning_effort) && !target.facts().capabilities.reasoning) {
    problem = "reasoning_effort is " + in_quotes(own.reasoning_effort) +
              ", and the model does not reason; where it does, say so in `capabilities`";
  }
  if (problem.empty()) return;
  throw std::invalid_argument{target.name() + ": `" + std::string{name} + "`: " + problem};
}

void find_key(Endpoint& endpoint, const ModelOptions& options, std::string_view usual_variable) {
  endpoint.credentials = options.credentials;
  if (!options.credentials.empty()) {
    if (options.api_key.empty() && options.api_key_env.empty()) return;
    throw std::invalid_argument{endpoint.target.name() +
                                ": `credentials` and `api_key` or `api_key_env` are given; one of them is enough"};
  }
  const std::string variable = options.api_key_env.empty() ? std::string{usual_variable} : options.api_key_env;
  endpoint.api_key = options.api_key;
  if (endpoint.api_key.empty() && !variable.empty()) endpoint.api_key = from_environment(variable);
  endpoint.key_hint = variable.empty() ? "give one with `api_key`, or name its variable with `api_key_env`"
                                       : "set the environment variable " + variable;
  if (!is_header_value(endpoint.api_key)) {
    throw std::invalid_argument{endpoint.target.name() + ": the key holds line breaks or other control characters"};
  }
}

}  // namespace

Endpoint resolve_endpoint(const ModelOptions& options, const ProviderDefaults& defaults) {
  const std::string_view provider = options.name.empty() ? defaults.name : std::string_view{options.name};
  if (provider.empty() || provider.find('/') != std::string_view::npos) {
    throw std::invalid_argument{"a provider's `name` must not be empty or hold a slash; it is " + in_quotes(provider)};
  }
  if (options.model.empty()) throw std::invalid_argument{std::string{provider} + ": `model` must not be empty"};
  const std::string_view base_url = options.base_url.empty() ? defaults.base_url : std::string_view{options.base_url};
  if (base_url.empty()) {
    throw std::invalid_argument{std::string{provider} + ": `base_url` is needed, such as http://localhost:8080/v1"};
  }

  Endpoint endpoint;
  endpoint.target = Target{options.id.empty() ? provider : std::string_view{options.id}, options.model,
                           facts_of(options, provider, base_url, defaults.audio)};
  check_parameters(endpoint.target, "defaults", options.defaults);
  check_parameters(endpoint.target, "overrides", options.overrides);
  endpoint.provider = defaults.name;
  endpoint.name = provider;
  if (!options.parameters.empty()) {
    const auto fields = read_fields_text(options.parameters, endpoint.target.name() + ": `parameters`");
    if (!fields) throw std::invalid_argument{fields.error().message};
  }
  endpoint.parameters = options.parameters;
  endpoint.repairs = std::make_shared<Repairs>();
  endpoint.base_url = checked_base_url(base_url, endpoint.target.name());
  // Another server that speaks the wire does not get the provider's key. It may need none, and says so where it does.
  const bool usual = provider == defaults.name || options.base_url.empty();
  endpoint.needs_key = (usual && defaults.needs_key) || !options.api_key_env.empty();
  find_key(endpoint, options, usual ? defaults.key_variable : std::string_view{});
  for (const Header& header : options.headers) {
    if (is_header_name(header.first) && is_header_value(header.second)) continue;
    throw std::invalid_argument{endpoint.target.name() + ": the header " + in_quotes(header.first) +
                                " has a name or a value that cannot be sent"};
  }
  endpoint.headers = options.headers;
  endpoint.forward_headers = options.forward_headers;
  endpoint.gateway_failover = options.gateway_failover;
  const AnswerLimits& limits = options.answer_limits;
  if (limits.bytes == 0 || limits.stream_bytes == 0 || limits.tool_calls == 0) {
    throw std::invalid_argument{endpoint.target.name() + ": `answer_limits` must be above zero"};
  }
  endpoint.answer_limits = limits;
  if (const std::string problem = problem_with(options.http); !problem.empty()) {
    throw std::invalid_argument{endpoint.target.name() + ": " + problem};
  }
  if (options.http != HttpOptions{}) endpoint.http = options.http;
  return endpoint;
}

Secrets secrets_of(const Endpoint& endpoint) {
  Secrets secrets;
  secrets.add(endpoint.api_key);
  secrets.add(endpoint.session_token);
  if (!endpoint.credentials.empty()) {
    const KeyRing& ring = KeyRing::of(endpoint.credentials);
    for (std::size_t index = 0; index < ring.size(); ++index) secrets.add(ring.key(index));
  }
  for (const Header& header : endpoint.headers) secrets.add_header(header.first, header.second);
  secrets.add_query(endpoint.base_url);
  return secrets;
}

}  // namespace backstop::inline v0::detail
