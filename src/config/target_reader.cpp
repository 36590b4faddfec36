#include "config/target_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "backstop/json.hpp"
#include "config/document.hpp"
#include "config/fields.hpp"
#include "config/policy_blocks.hpp"
#include "config/route.hpp"
#include "json/added_fields.hpp"
#include "providers/http/request_headers.hpp"
#include "text/efforts.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr double dearest = 1e6;

struct PriceDraft {
  std::optional<double> input, output, cache_read, cache_write;
};

constexpr std::array price_fields{
    Field<PriceDraft>{"input", [](const Setting& at, PriceDraft& out) { out.input = at.number(0, dearest); }},
    Field<PriceDraft>{"output", [](const Setting& at, PriceDraft& out) { out.output = at.number(0, dearest); }},
    Field<PriceDraft>{"cache_read", [](const Setting& at, PriceDraft& out) { out.cache_read = at.number(0, dearest); }},
    Field<PriceDraft>{"cache_write",
                      [](const Setting& at, PriceDraft& out) { out.cache_write = at.number(0, dearest); }},
};

constexpr std::array capability_fields{
    Field<Capabilities>{"tools", [](const Setting& at, Capabilities& out) { set(out.tools, at.boolean()); }},
    Field<Capabilities>{"vision", [](const Setting& at, Capabilities& out) { set(out.vision, at.boolean()); }},
    Field<Capabilities>{"documents", [](const Setting& at, Capabilities& out) { set(out.documents, at.boolean()); }},
    Field<Capabilities>{"json_schema",
                        [](const Setting& at, Capabilities& out) { set(out.json_schema, at.boolean()); }},
    Field<Capabilities>{"reasoning", [](const Setting& at, Capabilities& out) { set(out.reasoning, at.boolean()); }},
    Field<Capabilities>{"prefill", [](const Setting& at, Capabilities& out) { set(out.prefill, at.boolean()); }},
    Field<Capabilities>{"audio", [](const Setting& at, Capabilities& out) { set(out.audio, at.boolean()); }},
};

void read_effort(const Setting& at, Parameters& out) {
  out.reasoning_effort = at.word();
  if (!is_effort(out.reasoning_effort)) at.refuse(std::string{"one of "}.append(efforts_text));
}

void read_own_stop(const Setting& at, Parameters& out) {
  if (!at.is_array()) {
    if (auto one = at.text()) out.stop = {*std::move(one)};
    return;
  }
  for (const Setting& element : at.elements("strings, or a string")) {
    if (auto one = element.text()) out.stop.push_back(*std::move(one));
  }
}

constexpr std::array parameter_fields{
    Field<Parameters>{"max_output_tokens",
                      [](const Setting& at, Parameters& out) { out.max_output_tokens = at.tokens(); }},
    Field<Parameters>{"temperature", [](const Setting& at, Parameters& out) { out.temperature = at.number(0, 2); }},
    Field<Parameters>{"top_p", [](const Setting& at, Parameters& out) { out.top_p = at.number(0, 1); }},
    Field<Parameters>{"top_k", [](const Setting& at, Parameters& out) { out.top_k = at.tokens(); }},
    Field<Parameters>{"frequency_penalty",
                      [](const Setting& at, Parameters& out) { out.frequency_penalty = at.number(-2, 2); }},
    Field<Parameters>{"presence_penalty",
                      [](const Setting& at, Parameters& out) { out.presence_penalty = at.number(-2, 2); }},
    Field<Parameters>{"seed", [](const Setting& at, Parameters& out) { out.seed = at.integer(); }},
    Field<Parameters>{"stop", read_own_stop},
    Field<Parameters>{"reasoning_effort", read_effort},
    Field<Parameters>{"service_tier", [](const Setting& at, Parameters& out) { set(out.service_tier, at.text()); }},
};

template <Parameters ModelOptions::*own>
void read_parameters(const Setting& at, TargetConfig& out) {
  read_fields(at, parameter_fields, out.model.*own);
}

void read_price(const Setting& at, TargetConfig& out) {
  PriceDraft draft;
  read_fields(at, price_fields, draft);
  if (!at.is_object()) return;
  if (!at["input"].present()) at["input"].refuse("dollars per million tokens");
  if (!at["output"].present()) at["output"].refuse("dollars per million tokens");
  const auto per_token = [](std::optional<double> dollars) {
    return dollars ? std::optional{Money::usd_per_million(*dollars)} : std::nullopt;
  };
  out.model.price = Price{.input = Money::usd_per_million(draft.input.value_or(0)),
                          .output = Money::usd_per_million(draft.output.value_or(0)),
                          .cache_read = per_token(draft.cache_read),
                          .cache_write = per_token(draft.cache_write)};
}

void read_capabilities(const Setting& at, TargetConfig& out) {
  Capabilities capabilities = out.model.catalog.facts_for(out.model.name, out.model.model).capabilities;
  read_fields(at, capability_fields, capabilities);
  out.model.capabilities = capabilities;
}

std::string read_variable_name(const Setting& at) {
  std::string name = at.word();
  const bool is_name = !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                               "0123456789_") == std::string::npos &&
                       name.find_first_of("0123456789") != 0;
  // Not quoted: what is no name of a variable may be the key itself.
  if (!is_name) at.complain("must be the name of an environment variable, such as \"OPENAI_API_KEY\"");
  return is_name ? name : std::string{};
}

// One, or a list of several.
void read_key_variables(const Setting& at, TargetConfig& out) {
  if (!at.is_array()) {
    out.model.api_key_env = read_variable_name(at);
    return;
  }
  const std::vector<Setting> elements = at.elements("names of environment variables");
  if (elements.empty()) at.complain("is empty; at least one environment variable is needed");
  for (const Setting& element : elements) {
    std::string name = read_variable_name(element);
    if (std::find(out.key_variables.begin(), out.key_variables.end(), name) != out.key_variables.end()) {
      element.complain("names a variable again; each is accepted once");
    }
    if (!name.empty()) out.key_variables.push_back(std::move(name));
  }
}

void read_own_headers(const Setting& at, TargetConfig& out) {
  if (!at.is_object()) return at.refuse("an object of header names and values");
  for (const std::string& name : at.keys()) {
    const Setting header = at[name];
    const std::string value = header.text().value_or("");
    if (!is_header_name(name) || !is_header_value(value)) {
      header.complain("has a name or a value that cannot stand in an HTTP header");
    }
    out.model.headers.emplace_back(name, value);
  }
}

void read_forward_headers(const Setting& at, TargetConfig& out) {
  for (const Setting& element : at.elements("header names")) {
    const auto name = element.text();
    if (!name) continue;
    if (!is_header_name(*name)) element.refuse("the name of an HTTP header");
    if (names_secret(*name)) element.complain("would hand a key to a provider; such headers are never forwarded");
    out.model.forward_headers.push_back(*name);
  }
}

void read_own_fields(const Setting& at, TargetConfig& out) {
  if (!at.is_object()) return at.refuse("an object: fields for the body of every request to the target");
  for (const char* owned : {"messages", "model", "stream"}) {
    if (at[owned].present()) at[owned].complain("is set by the library; another field of the body is accepted");
  }
  std::string text = json_text(*at.json());
  if (text.size() > longest_fields) {
    return at.complain(fmt::format("is longer than the accepted {}", longest_fields_text));
  }
  out.model.parameters = std::move(text);
}

void read_wire(const Setting& at, TargetConfig& out) {
  out.wire = at.word();
  if (!is_wire(out.wire)) at.refuse(wires_text());
}

void read_id(const Setting& at, TargetConfig& out) {
  const std::string id = at.word();
  if (id.empty() || id.find('/') != std::string::npos) return at.refuse("a name without a slash");
  out.model.id = id;
}

template <std::string PlatformConfig::*value>
void read_platform(const Setting& at, TargetConfig& out) {
  set(out.platform.*value, at.text());
}

template <class Out, std::size_t first, std::size_t second>
[[nodiscard]] constexpr std::array<Field<Out>, first + second> both_of(const std::array<Field<Out>, first>& one,
                                                                       const std::array<Field<Out>, second>& other) {
  std::array<Field<Out>, first + second> all;
  std::copy(other.begin(), other.end(), std::copy(one.begin(), one.end(), all.begin()));
  return all;
}

/// What a policy may tell of a provider once, for all targets there.
constexpr std::array provider_fields{
    Field<TargetConfig>{"base_url", [](const Setting& at, TargetConfig& out) { set(out.model.base_url, at.text()); }},
    Field<TargetConfig>{"api_key_env", read_key_variables},
    Field<TargetConfig>{"wire", read_wire},
    Field<TargetConfig>{"region", read_platform<&PlatformConfig::region>},
    Field<TargetConfig>{"project", read_platform<&PlatformConfig::project>},
    Field<TargetConfig>{"location", read_platform<&PlatformConfig::location>},
    Field<TargetConfig>{"api_version", read_platform<&PlatformConfig::api_version>},
    Field<TargetConfig>{"headers", read_own_headers},
    Field<TargetConfig>{"gateway_failover",
                        [](const Setting& at, TargetConfig& out) { set(out.model.gateway_failover, at.boolean()); }},
    Field<TargetConfig>{"failure_domain",
                        [](const Setting& at, TargetConfig& out) { set(out.model.failure_domain, at.text()); }},
};

constexpr std::array own_fields{
    Field<TargetConfig>{"target"},
    Field<TargetConfig>{"id", read_id},
    Field<TargetConfig>{"weight"},
    Field<TargetConfig>{"when"},
    Field<TargetConfig>{"context_window",
                        [](const Setting& at, TargetConfig& out) { out.model.context_window = at.tokens(); }},
    Field<TargetConfig>{"max_output_tokens",
                        [](const Setting& at, TargetConfig& out) { out.model.max_output_tokens = at.tokens(); }},
    Field<TargetConfig>{"capabilities", read_capabilities},
    Field<TargetConfig>{"price", read_price},
    Field<TargetConfig>{"defaults", read_parameters<&ModelOptions::defaults>},
    Field<TargetConfig>{"overrides", read_parameters<&ModelOptions::overrides>},
    Field<TargetConfig>{"parameters", read_own_fields},
    Field<TargetConfig>{"forward_headers", read_forward_headers},
    Field<TargetConfig>{"accept_if",
                        [](const Setting& at, TargetConfig& out) { read_floor(at, out.accept_if.emplace()); }},
    Field<TargetConfig>{"timeout"},
    Field<TargetConfig>{"retry"},
    Field<TargetConfig>{"circuit_breaker"},
    Field<TargetConfig>{"rate_limit"},
    Field<TargetConfig>{"probe"},
    Field<TargetConfig>{"http"},
};
constexpr auto target_fields = both_of(own_fields, provider_fields);

// What the target says itself stands in the place of what its provider's row says.
void read_provider(const Setting& row, const Setting& at, TargetConfig& out) {
  for (const Field<TargetConfig>& field : provider_fields) {
    const Setting value = row[field.key];
    if (value.present() && !at[field.key].present()) field.read(value, out);
  }
}

// "provider/model", the model possibly with slashes of its own.
void read_name(const Setting& at, TargetConfig& out) {
  const std::string name = at.word();
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) {
    return at.refuse("\"provider/model\", such as \"openai/gpt-5.6-sol\"");
  }
  out.model.name = name.substr(0, slash);
  out.model.model = name.substr(slash + 1);
}

// What the provider's name does not tell has to be given.
void check_route(const Setting& at, const TargetConfig& target) {
  if (target.model.name.empty()) return;
  const Route route = route_of(target);
  std::string missing;
  const auto need = [&](bool given, std::string_view key) {
    if (!given) missing.append(missing.empty() ? "`" : ", `").append(key).append("`");
  };
  need(route.known || !target.wire.empty(), "wire");
  need(!route.base_url.empty() || at["base_url"].present(), "base_url");
  if (const std::string idle = idle_setting_of(target); !idle.empty()) {
    at.complain(fmt::format("has `{}`, which the wire \"{}\" has no use for", idle, route.wire));
  }
  if (missing.empty()) return;
  at.complain(fmt::format("goes to the provider \"{}\", {}; give {} too", target.model.name,
                          route.known ? "whose name does not tell everything" : "which this build does not know",
                          missing));
}

}  // namespace

void check_providers(const Setting& at) {
  if (!at.is_object()) return at.refuse("an object of providers, each by its name");
  for (const std::string& name : at.keys()) {
    if (name.empty() || name.find('/') != std::string::npos)
      at[name].complain("is under a name that no target can have");
    TargetConfig row;
    read_fields(at[name], provider_fields, row);
  }
}

TargetConfig read_target(const Setting& at, const Above& above, const Catalog& catalog) {
  TargetConfig target;
  target.model.catalog = catalog;
  read_name(at.is_object() ? at["target"] : at, target);
  read_provider(above.front()["providers"][target.model.name], at, target);
  if (at.is_object()) read_fields(at, target_fields, target);
  read_policies(above, at, target);
  check_route(at, target);
  return target;
}

}  // namespace backstop::inline v0::detail
