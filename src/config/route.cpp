#include "config/route.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <fmt/format.h>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/azure.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "backstop/providers/vertex.hpp"
#include "providers/bedrock/key_variable.hpp"
#include "providers/cohere/key_variable.hpp"
#include "providers/gemini/key_variable.hpp"
#include "providers/openai_chat/azure.hpp"
#include "providers/openai_chat/dialect.hpp"
#include "providers/vertex/key_variable.hpp"

namespace backstop::inline v0::detail {
namespace {

using PlatformKey = std::string PlatformConfig::*;

Provider over_chat_completions(ModelOptions options, const PlatformConfig&) {
  if (!options.base_url.empty()) return openai_compatible(std::move(options));
  const std::string name = options.name;
  if (auto known = known_provider(name, std::move(options))) return *std::move(known);
  throw std::invalid_argument{fmt::format("the provider \"{}\" is not known; give its `base_url`", name)};
}

Provider over_responses(ModelOptions options, const PlatformConfig&) { return openai_responses(std::move(options)); }

/// Of a wire whose model options say everything.
template <Provider (*make)(ModelOptions)>
Provider over(ModelOptions options, const PlatformConfig&) {
  return make(std::move(options));
}

Provider over_azure(ModelOptions options, const PlatformConfig& platform) {
  return azure(std::move(options), {.api_version = platform.api_version});
}

Provider over_messages(ModelOptions options, const PlatformConfig& platform) {
  if (platform.api_version.empty()) return anthropic(std::move(options));
  return anthropic(std::move(options), {.api_version = platform.api_version});
}

template <Provider (*make)(ModelOptions, BedrockOptions)>
Provider over_aws(ModelOptions options, const PlatformConfig& platform) {
  return make(std::move(options), {.region = platform.region});
}

template <Provider (*make)(ModelOptions, VertexOptions)>
Provider over_google_cloud(ModelOptions options, const PlatformConfig& platform) {
  return make(std::move(options), {.project = platform.project, .location = platform.location});
}

struct Wire {
  std::string_view name;
  Provider (*make)(ModelOptions options, const PlatformConfig& platform);
  std::string_view address;  ///< wires of the same word are found at the same address
};

constexpr std::array wires{Wire{"openai", over_chat_completions, "openai"},
                           Wire{"openai_responses", over_responses, "openai"},
                           Wire{"azure", over_azure, "openai"},
                           Wire{"anthropic", over_messages, "anthropic"},
                           Wire{"gemini", over<gemini>, "google"},
                           Wire{"cohere", over<cohere>, "cohere"},
                           Wire{"ollama", over<ollama_native>, "ollama"},
                           Wire{"bedrock", over_aws<bedrock>, "bedrock"},
                           Wire{"bedrock_anthropic", over_aws<bedrock_anthropic>, "bedrock"},
                           Wire{"vertex", over_google_cloud<vertex>, "vertex"},
                           Wire{"vertex_anthropic", over_google_cloud<vertex_anthropic>, "vertex"}};

/// A key of a policy file that only these wires have a use for.
struct PlatformSetting {
  std::string_view key;
  PlatformKey value;
  std::array<std::string_view, 2> wires;
};
constexpr std::array platform_settings{
    PlatformSetting{"region", &PlatformConfig::region, {"bedrock", "bedrock_anthropic"}},
    PlatformSetting{"project", &PlatformConfig::project, {"vertex", "vertex_anthropic"}},
    PlatformSetting{"location", &PlatformConfig::location, {"vertex", "vertex_anthropic"}},
    PlatformSetting{"api_version", &PlatformConfig::api_version, {"azure", "anthropic"}}};

const Wire* find_wire(std::string_view name) noexcept {
  const auto wire = std::find_if(wires.begin(), wires.end(), [name](const Wire& row) { return row.name == name; });
  return wire == wires.end() ? nullptr : &*wire;
}

bool are_at_one_address(std::string_view wire, std::string_view other) noexcept {
  const Wire* one = find_wire(wire);
  const Wire* two = find_wire(other);
  return one != nullptr && two != nullptr && one->address == two->address;
}

/// Claude Code Router's on this machine.
constexpr std::string_view claude_code_router = "http://127.0.0.1:3456";

/// Where the provider's name leads; where it has models of several makers, that of the model.
Route usual_route(const TargetConfig& target) {
  const std::string_view provider = target.model.name;
  if (provider == "anthropic") return {true, "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", true};
  if (provider == "google" || provider == "gemini") {
    const std::string_view key = gemini_key_variable();
    return {true, "gemini", "https://generativelanguage.googleapis.com", std::string{key}, true};
  }
  if (provider == "azure") {
    return {true, "azure", std::string{azure_address()}, std::string{azure_key_variable()}, true};
  }
  if (provider == "ccr") return {true, "anthropic", std::string{claude_code_router}, "", false};
  if (provider == "cohere") return {true, "cohere", "https://api.cohere.com", std::string{cohere_key_variable()}, true};
  if (provider == "bedrock") {
    // The region belongs to it, and is not known here.
    return {true, "bedrock", "https://bedrock-runtime.amazonaws.com", std::string{bedrock_key_variable()}, true};
  }
  if (provider == "vertex") {
    // The location and the project belong to it, and are not known here.
    const bool claude = is_vertex_claude(target.model.model) || target.wire == "vertex_anthropic";
    const bool has_project =
        !target.platform.project.empty() || target.model.base_url.find("/projects/") != std::string::npos;
    const std::string_view key = vertex_key_variable(claude || has_project);
    return {true, claude ? "vertex_anthropic" : "vertex", "https://aiplatform.googleapis.com", std::string{key}, true};
  }
  if (provider == "ollama_native") return {true, "ollama", "http://localhost:11434", "", false};
  const bool responses = provider == "openai_responses";
  const KnownProvider* known = find_known_provider(responses ? "openai" : provider);
  if (known == nullptr) return {false, "openai", "", "", false};
  const ProviderDefaults& defaults = known->defaults;
  return {true, responses ? "openai_responses" : "openai", std::string{defaults.base_url},
          std::string{defaults.key_variable}, defaults.needs_key};
}

}  // namespace

Route route_of(const TargetConfig& target) {
  Route route = usual_route(target);
  if (!target.wire.empty() && target.wire != route.wire) {
    // Else the provider has another address for this wire. A wire of its own name is at its own address.
    if (!are_at_one_address(target.wire, route.wire) && target.wire != target.model.name) route.base_url.clear();
    route.wire = target.wire;
  }
  if (!target.model.base_url.empty()) route.base_url = target.model.base_url;
  if (!target.model.api_key_env.empty()) route.key_variable = target.model.api_key_env;
  if (!target.model.api_key_env.empty() || !target.key_variables.empty()) route.needs_key = true;
  return route;
}

std::string idle_setting_of(const TargetConfig& target) {
  const std::string wire = route_of(target).wire;
  for (const PlatformSetting& setting : platform_settings) {
    const bool used = std::find(setting.wires.begin(), setting.wires.end(), wire) != setting.wires.end();
    if (!used && !(target.platform.*setting.value).empty()) return std::string{setting.key};
  }
  return {};
}

bool is_wire(std::string_view name) noexcept { return find_wire(name) != nullptr; }

std::string wires_text() {
  std::string text;
  for (const Wire& wire : wires) text += fmt::format("{}\"{}\"", text.empty() ? "" : " or ", wire.name);
  return "a wire that this build speaks: " + text;
}

Provider provider_for(const TargetConfig& target, const Credentials& keys) {
  const Route route = route_of(target);
  const Wire* wire = find_wire(route.wire);
  if (wire == nullptr) {
    throw std::invalid_argument{fmt::format("`wire` is \"{}\"; it must be {}", route.wire, wires_text())};
  }
  ModelOptions options = target.model;
  if (keys.empty()) {
    // Naming a variable says that there is a key; where none is needed, the adapter looks whether there is one.
    if (route.needs_key) options.api_key_env = route.key_variable;
  } else {
    options.credentials = keys;
  }
  if (options.name == "ccr" && options.base_url.empty()) options.base_url = route.base_url;
  // A provider's own adapter knows its address, and what else belongs to it.
  return wire->make(std::move(options), target.platform);
}

}  // namespace backstop::inline v0::detail
