#include "backstop/catalog/catalog.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "catalog/table.hpp"

namespace backstop::inline v0 {
namespace {

using detail::CatalogRow;

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> aliases{{
    {"bedrock", "amazon-bedrock"},
    {"gemini", "google"},
    {"moonshot", "moonshotai"},
    {"openai_responses", "openai"},
    {"qwen", "alibaba"},
    {"together", "togetherai"},
    {"vertex", "google"},  // whose prices it has, but for Claude
}};

std::string_view source_name(std::string_view provider, std::string_view model) noexcept {
  if (provider == "vertex" && model.starts_with("claude-")) return "anthropic";
  for (const auto& [ours, theirs] : aliases) {
    if (ours == provider) return theirs;
  }
  return provider;
}

/// Under which an application's catalogue keeps a provider: Vertex AI may have other prices there than the makers.
std::string_view own_name(std::string_view provider, std::string_view model) noexcept {
  return provider == "vertex" ? provider : source_name(provider, model);
}

std::span<const CatalogRow> rows_of(std::string_view provider) noexcept {
  const auto rows = detail::catalog_rows();
  const auto before = [](const CatalogRow& row, std::string_view name) { return row.provider < name; };
  const auto after = [](std::string_view name, const CatalogRow& row) { return name < row.provider; };
  const auto first = std::lower_bound(rows.begin(), rows.end(), provider, before);
  return {first, std::upper_bound(first, rows.end(), provider, after)};
}

const CatalogRow* find(std::span<const CatalogRow> rows, std::string_view model) noexcept {
  const auto before = [](const CatalogRow& row, std::string_view name) { return row.model < name; };
  const auto row = std::lower_bound(rows.begin(), rows.end(), model, before);
  return row != rows.end() && row->model == model ? &*row : nullptr;
}

bool is_digits(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The name without what ends in `-001`, `-20250929` or `-2024-11-20`; empty where it ends in none of them.
std::string_view undated(std::string_view model) noexcept {
  const auto numbered = [&](std::size_t digits) {
    return model.size() > digits + 1 && model[model.size() - digits - 1] == '-' &&
           is_digits(model.substr(model.size() - digits));
  };
  constexpr std::size_t date_size = std::string_view{"-2024-11-20"}.size();
  if (model.size() > date_size) {
    const std::string_view date = model.substr(model.size() - date_size);
    if (date[0] == '-' && is_digits(date.substr(1, 4)) && date[5] == '-' && is_digits(date.substr(6, 2)) &&
        date[8] == '-' && is_digits(date.substr(9))) {
      return model.substr(0, model.size() - date_size);
    }
  }
  if (numbered(8)) return model.substr(0, model.size() - 9);
  if (numbered(3)) return model.substr(0, model.size() - 4);
  return {};
}

/// The newest of the dated rows that `stem` has, such as mistral-large-2512.
const CatalogRow* newest(std::span<const CatalogRow> rows, std::string_view stem) noexcept {
  const CatalogRow* found = nullptr;
  for (const CatalogRow& row : rows) {
    if (row.model.size() >= stem.size() + 5 && row.model.starts_with(stem) && row.model[stem.size()] == '-' &&
        is_digits(row.model.substr(stem.size() + 1))) {
      found = &row;  // sorted, and the dates of one stem are equally long
    }
  }
  return found;
}

constexpr std::string_view latest_mark = "-latest";

std::string_view without_folder(std::string_view model) noexcept {
  constexpr std::string_view folder = "models/";
  while (model.starts_with(folder)) model.remove_prefix(folder.size());
  return model;
}

/// By the name as it is written, else without what may stand around it. `find` gives a pointer to a row, or null.
template <class Find>
auto find_loosely(std::string_view model, const Find& find) -> decltype(find(model)) {
  if (const auto* row = find(model)) return row;
  model = without_folder(model);
  if (const auto* row = find(model)) return row;
  model = model.substr(0, model.find('@'));  // Google Cloud's versions
  if (const auto* row = find(model)) return row;
  if (const std::string_view stem = undated(model); !stem.empty()) return find(stem);
  if (model.ends_with(latest_mark)) return find(model.substr(0, model.size() - latest_mark.size()));
  return nullptr;
}

const CatalogRow* find_built_in(std::string_view provider, std::string_view model) noexcept {
  const auto rows = rows_of(provider);
  const CatalogRow* row = find_loosely(model, [rows](std::string_view name) { return find(rows, name); });
  if (row != nullptr || !model.ends_with(latest_mark)) return row;
  model = without_folder(model);
  return newest(rows, model.substr(0, model.size() - latest_mark.size()));
}

std::optional<Money> money(detail::Rate rate) noexcept {
  if (rate == detail::unknown_rate) return std::nullopt;
  return Money::from_units(rate);
}

std::optional<std::int64_t> tokens(std::int64_t count) noexcept {
  if (count == 0) return std::nullopt;
  return count;
}

/// Of OpenAI's and Mistral's models those that hear say so in their names. Where models take recordings at all, the wire
/// says.
bool may_hear(std::string_view provider, std::string_view model) noexcept {
  if (provider == "openai" || provider == "azure") return model.find("audio") != std::string_view::npos;
  return provider != "mistral" || model.find("voxtral") != std::string_view::npos;
}

ModelFacts facts_of(const CatalogRow& row) noexcept {
  ModelFacts facts;
  facts.context_window = tokens(row.context_window);
  facts.max_output_tokens = tokens(row.max_output_tokens);
  const auto has = [&](std::uint8_t bit) { return (row.lacks & bit) == 0; };
  facts.capabilities = {has(detail::no_tools),       has(detail::no_vision),    has(detail::no_documents),
                        has(detail::no_json_schema), has(detail::no_reasoning), !has(detail::has_prefill)};
  facts.thinks_unseen = detail::hides_thinking(row.provider) && facts.capabilities.reasoning;
  if (row.rates.input == detail::unknown_rate || row.rates.output == detail::unknown_rate) return facts;

  Price price{Money::from_units(row.rates.input), Money::from_units(row.rates.output), money(row.rates.cache_read),
              money(row.rates.cache_write), std::nullopt};
  if (row.long_input_above != 0) {
    price.long_input = PriceTier{row.long_input_above, Money::from_units(row.long_input.input),
                                 Money::from_units(row.long_input.output), money(row.long_input.cache_read),
                                 money(row.long_input.cache_write)};
  }
  facts.price = price;
  return facts;
}

}  // namespace

bool detail::hides_thinking(std::string_view provider) noexcept {
  return provider == "openai" || provider == "azure" || provider == "xai";
}

ModelFacts facts_for(std::string_view provider, std::string_view model) noexcept {
  const CatalogRow* row = find_built_in(source_name(provider, model), model);
  ModelFacts facts = row != nullptr ? facts_of(*row) : ModelFacts{};
  facts.capabilities.audio = may_hear(provider, model);
  return facts;
}

ModelFacts facts_for(const Target& target) noexcept { return facts_for(target.provider(), target.model()); }

Catalog& Catalog::set(std::string_view provider, std::string_view model, ModelFacts facts) {
  if (!rows_) {
    rows_ = std::make_shared<Rows>();
  } else if (rows_.use_count() > 1) {
    rows_ = std::make_shared<Rows>(*rows_);
  }
  (*rows_)[{std::string{own_name(provider, model)}, std::string{model}}] = std::move(facts);
  return *this;
}

ModelFacts Catalog::facts_for(std::string_view provider, std::string_view model) const {
  if (rows_) {
    const ModelFacts* own = find_loosely(model, [&](std::string_view name) -> const ModelFacts* {
      auto row = rows_->find(std::pair{own_name(provider, name), name});
      if (row == rows_->end()) row = rows_->find(std::pair{source_name(provider, name), name});
      return row != rows_->end() ? &row->second : nullptr;
    });
    if (own != nullptr) return *own;
  }
  return backstop::facts_for(provider, model);
}

}  // namespace backstop::inline v0
