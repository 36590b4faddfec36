#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/catalog/catalog.hpp"
#include "catalog/table.hpp"
#include "json/file.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

using Json = nlohmann::json;

constexpr std::size_t largest_catalog_file = std::size_t{32} << 20U;
constexpr std::size_t most_catalog_rows = 100'000;
constexpr double dearest_token = 1000;
constexpr double longest_window = 1e12;

// LiteLLM's names of providers that have another one here.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> provider_names{{
    {"bedrock_converse", "bedrock"},
    {"cohere_chat", "cohere"},
    {"dashscope", "qwen"},
    {"fireworks_ai", "fireworks"},
    {"friendliai", "friendli"},
    {"meta_llama", "llama"},
    {"nvidia_nim", "nvidia"},
    {"ollama_chat", "ollama"},
    {"text-completion-codestral", "mistral"},
    {"text-completion-openai", "openai"},
    {"together_ai", "together"},
    {"vercel_ai_gateway", "vercel"},
    {"vertex_ai", "vertex"},
    {"vertex_ai-language-models", "vertex"},
}};

std::string_view our_name(std::string_view provider) noexcept {
  const auto row = std::find_if(provider_names.begin(), provider_names.end(),
                                [provider](const auto& names) { return names.first == provider; });
  return row != provider_names.end() ? row->second : provider;
}

/// One model of the file. The first complaint stays; what is read after it counts no more.
class LiteLlmRow {
 public:
  LiteLlmRow(const std::string& name, const Json& row) : name_{&name}, row_{&row} {}

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  [[nodiscard]] const Json* find(std::string_view key) const {
    const auto at = row_->find(key);
    return at == row_->end() || at->is_null() ? nullptr : &*at;
  }

  [[nodiscard]] std::string_view text(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) complain(key, "must be a text");
    return value->is_string() ? std::string_view{value->get_ref<const std::string&>()} : std::string_view{};
  }

  [[nodiscard]] std::optional<bool> flag(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean()) complain(key, "must be true or false");
    return value->is_boolean() ? std::optional{value->get<bool>()} : std::nullopt;
  }

  [[nodiscard]] std::optional<Money> cost(const Json& of, std::string_view key) {
    const auto dollars = number(of, key, 0, dearest_token, "dollars a token");
    return dollars ? std::optional{Money::usd(*dollars)} : std::nullopt;
  }

  [[nodiscard]] std::optional<std::int64_t> tokens(std::string_view key) {
    const auto count = number(*row_, key, 0, longest_window, "tokens");
    return count && *count >= 1 ? std::optional{static_cast<std::int64_t>(*count)} : std::nullopt;
  }

  [[nodiscard]] const Json& json() const noexcept { return *row_; }

  [[nodiscard]] std::optional<double> number(const Json& of, std::string_view key, double least, double most,
                                             std::string_view unit) {
    const auto at = of.find(key);
    if (at == of.end() || at->is_null()) return std::nullopt;
    const double value = at->is_number() ? at->get<double>() : -1;
    if (value >= least && value <= most) return value;
    complain(key, fmt::format("must be a number of {} from {} to {}", unit, least, most));
    return std::nullopt;
  }

  void complain(std::string_view key, std::string_view what) {
    constexpr std::size_t longest_name = 100;
    if (problem_.empty()) problem_ = fmt::format("the model \"{:.{}}\": `{}` {}", *name_, longest_name, key, what);
  }

 private:
  const std::string* name_;
  const Json* row_;
  std::string problem_;
};

constexpr std::string_view input_key = "input_cost_per_token";
constexpr std::string_view output_key = "output_cost_per_token";
constexpr std::string_view cache_read_key = "cache_read_input_token_cost";
constexpr std::string_view cache_write_key = "cache_creation_input_token_cost";

/// The prices that hold above a number of input tokens, all under keys with the same end; nothing where one is missing.
std::optional<PriceTier> read_tier(LiteLlmRow& row, const Json& of, std::string_view end, std::int64_t above) {
  const auto cost = [&](std::string_view key) { return row.cost(of, fmt::format("{}{}", key, end)); };
  const std::optional<Money> input = cost(input_key);
  const std::optional<Money> output = cost(output_key);
  if (!input || !output) return std::nullopt;
  return PriceTier{above, *input, *output, cost(cache_read_key), cost(cache_write_key)};
}

/// The threshold of a key such as `input_cost_per_token_above_200k_tokens`; 0 for others, batch prices among them.
std::int64_t threshold_of(std::string_view key) noexcept {
  constexpr std::string_view middle = "_above_";
  constexpr std::string_view end = "k_tokens";
  if (!key.starts_with(input_key) || !key.substr(input_key.size()).starts_with(middle) || !key.ends_with(end)) return 0;
  key = key.substr(input_key.size() + middle.size());
  key.remove_suffix(end.size());
  std::int64_t thousands = 0;
  const auto [rest, error] = std::from_chars(key.data(), key.data() + key.size(), thousands);
  const bool plausible = error == std::errc{} && rest == key.data() + key.size() && thousands > 0 &&
                         static_cast<double>(thousands) <= longest_window / 1000;
  return plausible ? thousands * 1000 : 0;
}

std::vector<PriceTier> read_tiers(LiteLlmRow& row) {
  std::vector<PriceTier> tiers;
  if (const auto base = read_tier(row, row.json(), "", 0)) tiers.push_back(*base);
  for (const auto& [key, value] : row.json().items()) {
    const std::int64_t above = threshold_of(key);
    if (above == 0) continue;
    const std::string end = key.substr(input_key.size());
    if (const auto tier = read_tier(row, row.json(), end, above)) tiers.push_back(*tier);
  }
  constexpr std::string_view list_key = "tiered_pricing";
  if (const Json* list = row.find(list_key); list != nullptr && tiers.empty()) {
    if (!list->is_array()) row.complain(list_key, "must be an array of prices, each with its `range` of input tokens");
    for (const Json& entry : *list) {
      const auto range = entry.find("range");
      const bool known = range != entry.end() && range->is_array() && !range->empty() && range->front().is_number();
      const double above = known ? range->front().get<double>() : -1;
      if (above < 0 || above > longest_window) {
        row.complain(list_key, "must give each price its `range`, two numbers of input tokens");
      } else if (const auto tier = read_tier(row, entry, "", static_cast<std::int64_t>(above))) {
        tiers.push_back(*tier);
      }
    }
  }
  std::sort(tiers.begin(), tiers.end(),
            [](const PriceTier& a, const PriceTier& b) { return a.above_input_tokens < b.above_input_tokens; });
  return tiers;
}

/// `Price` has room for one threshold: the first one, with the dearest prices that hold anywhere above it.
std::optional<Price> read_price(LiteLlmRow& row) {
  const std::vector<PriceTier> tiers = read_tiers(row);
  if (tiers.empty() || tiers.front().above_input_tokens != 0) return std::nullopt;
  const PriceTier& base = tiers.front();
  Price price{base.input, base.output, base.cache_read, base.cache_write, std::nullopt};
  for (const PriceTier& tier : tiers) {
    if (tier.above_input_tokens == 0) continue;
    if (!price.long_input) {
      price.long_input = tier;
      continue;
    }
    PriceTier& dearest = *price.long_input;
    dearest.input = std::max(dearest.input, tier.input);
    dearest.output = std::max(dearest.output, tier.output);
    dearest.cache_read = std::max(dearest.cache_read, tier.cache_read);
    dearest.cache_write = std::max(dearest.cache_write, tier.cache_write);
  }
  return price;
}

void read_facts(LiteLlmRow& row, std::string_view provider, ModelFacts& facts) {
  if (const auto price = read_price(row)) facts.price = price;
  if (const auto count = row.tokens("max_input_tokens")) facts.context_window = count;
  if (const auto count = row.tokens("max_output_tokens")) facts.max_output_tokens = count;
  Capabilities& can = facts.capabilities;
  const auto state = [&row](std::string_view key, bool& out) { out = row.flag(key).value_or(out); };
  state("supports_function_calling", can.tools);
  state("supports_vision", can.vision);
  state("supports_pdf_input", can.documents);
  state("supports_response_schema", can.json_schema);
  state("supports_reasoning", can.reasoning);
  state("supports_assistant_prefill", can.prefill);
  if (const auto reasons = row.flag("supports_reasoning")) facts.thinks_unseen = *reasons && hides_thinking(provider);
}

/// What a row is about; an empty model where it is no chat model, or of no provider.
struct ModelName {
  std::string_view provider;
  std::string_view model;
  bool bare = true;  ///< without its provider before it
};

ModelName name_of(LiteLlmRow& row, std::string_view key) {
  const std::string_view mode = row.text("mode");
  const bool chats = mode.empty() || mode == "chat" || mode == "responses" || mode == "completion";
  if (key == "sample_spec" || !chats) return {};
  const std::size_t slash = key.find('/');
  const std::string_view first = slash == std::string_view::npos ? std::string_view{} : key.substr(0, slash);
  const std::string_view said = row.text("litellm_provider");
  const std::string_view provider = our_name(said.empty() ? first : said);
  // "vertex_ai/claude-opus-5" is of "vertex_ai-anthropic_models".
  const bool leads = !first.empty() && (our_name(first) == provider || said.starts_with(first));
  if (provider.empty()) return {};
  if (!leads) return {provider, key, true};
  return {our_name(first), key.substr(slash + 1), false};
}

Result<Catalog> read_catalog_rows(const Json& document) {
  const auto refuse = [](std::string message) { return Error{ErrorKind::invalid_request, std::move(message)}; };
  if (!document.is_object()) return refuse("must be an object of models, each by its name");
  if (document.size() > most_catalog_rows) {
    return refuse(fmt::format("holds {} models; at most {} are accepted", document.size(), most_catalog_rows));
  }
  Catalog catalog;
  // A name that has its provider before it is the more exact one, so those are read last.
  for (const bool bare : {true, false}) {
    for (const auto& [key, value] : document.items()) {
      LiteLlmRow row{key, value};
      if (!value.is_object()) return refuse(fmt::format("the model \"{:.100}\" must be an object", key));
      const ModelName name = name_of(row, key);
      if (!name.model.empty() && name.bare == bare) {
        ModelFacts facts = facts_for(name.provider, name.model);
        read_facts(row, name.provider, facts);
        if (row.problem().empty()) catalog.set(name.provider, name.model, std::move(facts));
      }
      if (!row.problem().empty()) return refuse(row.problem());
    }
  }
  return catalog;
}

}  // namespace
}  // namespace detail

Result<Catalog> parse_catalog(std::string_view text) {
  if (text.size() > detail::largest_catalog_file) {
    return Error{ErrorKind::invalid_request, fmt::format("the catalogue is larger than {} bytes, the most that is "
                                                         "accepted", detail::largest_catalog_file)};
  }
  const Result<nlohmann::json> document = detail::parse_sorted_json(text);
  if (!document) return document.error();
  return detail::read_catalog_rows(*document);
}

Result<Catalog> load_catalog(const std::string& path) {
  const Result<std::string> text = detail::read_file(path, detail::largest_catalog_file);
  Result<Catalog> catalog = text ? parse_catalog(*text) : Result<Catalog>{text.error()};
  if (!catalog) catalog.error().message = fmt::format("{}: {}", path, catalog.error().message);
  return catalog;
}

}  // namespace backstop::inline v0
