#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/chat/result.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

/// Facts on models: list prices in USD, context windows, output limits, capabilities. Those that come with the library,
/// and those that an application or a file puts in their place.
///
/// The library's prices are those of on-demand calls, without batch, priority or regional rates, as published when the
/// data was gathered (`catalog_date`). They change: give a target its own (`ModelOptions::price`), or all of them a
/// newer `Catalog`, where they matter.
namespace backstop::inline v0 {

/// The day on which the data was gathered, as YYYY-MM-DD.
///
/// Source: models.dev (2026-07-02) and pydantic/genai-prices (2026-08-21), both under the MIT licence. Models that
/// their providers have retired, and that configurations still name: prices of genai-prices 0.2.3, limits and
/// capabilities of models.dev (2026-05), and of LiteLLM 1.72.0 (MIT) where that has none.
inline constexpr std::string_view catalog_date = "2026-11-22";

/// What is known about a provider's model; nothing where it is not in the catalogue, with the capabilities that
/// `Capabilities` has by default. A capability that the sources do not state keeps its default too. Models of `openai` and
/// `azure`, known or not, take recordings where their names say `audio`.
///
/// The provider goes by its name here (`gemini`, `bedrock`, `together`, `moonshot`, `qwen`) or by that of models.dev
/// (`google`, `amazon-bedrock`, `togetherai`, `moonshotai`, `alibaba`). Models of `vertex` are taken for Google's and
/// Anthropic's own, whose prices they have in the location `global`. The model is looked up as it is written, then
/// - without `models/` before it (Gemini),
/// - without `@` and what follows it (Vertex AI),
/// - without a date or a revision after it (`-2024-11-20`, `-20250929`, `-001`), which may have had another price,
/// - without `-latest`, or with the newest date in its place (`mistral-large-latest`).
///
/// Thread safety: any number of threads. Cost: two binary searches at most for a name as it is written; no allocation.
[[nodiscard]] BACKSTOP_EXPORT ModelFacts facts_for(std::string_view provider, std::string_view model) noexcept;

/// The same for a target's provider and model.
[[nodiscard]] BACKSTOP_EXPORT ModelFacts facts_for(const Target& target) noexcept;

/// Facts that stand before those of the library: newer prices, models that it does not know. Given to targets with
/// `ModelOptions::catalog`, or to all targets of a policy file with its key `catalog`.
///
/// A value; copies share their rows until one of them is changed.
/// Thread safety: const access from many threads.
/// Example: `openai({.model = "gpt-5.6-sol", .catalog = *load_catalog("model_prices_and_context_window.json")})`
class BACKSTOP_EXPORT Catalog {
 public:
  Catalog() noexcept = default;  ///< knows what the library knows

  /// Adds a model, or replaces all that this catalogue knew of it. Of the facts, those on the model count: price, limits,
  /// capabilities, `thinks_unseen`. The others are those of a target's `ModelOptions`.
  Catalog& set(std::string_view provider, std::string_view model, ModelFacts facts);

  /// What this catalogue knows about the model, under the names that `backstop::facts_for` tries, except for the newest
  /// date; else what the library knows. Cost: as there, and a copy of the facts.
  [[nodiscard]] ModelFacts facts_for(std::string_view provider, std::string_view model) const;

  [[nodiscard]] std::size_t size() const noexcept { return rows_ ? rows_->size() : 0; }  ///< without the library's

  friend bool operator==(const Catalog& a, const Catalog& b) {
    return a.rows_ == b.rows_ || (a.size() == b.size() && (a.size() == 0 || *a.rows_ == *b.rows_));
  }

 private:
  struct Before {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      const int providers = std::string_view{a.first}.compare(b.first);
      return providers != 0 ? providers < 0 : std::string_view{a.second} < std::string_view{b.second};
    }
  };
  /// By provider and model; the provider as models.dev spells it, but for `vertex`.
  using Rows = std::map<std::pair<std::string, std::string>, ModelFacts, Before>;

  std::shared_ptr<Rows> rows_;
};

/// Reads prices and limits as LiteLLM publishes them (`model_prices_and_context_window.json`): an object of models,
/// each with `litellm_provider` and what is known of it.
///
/// Read are `input_cost_per_token`, `output_cost_per_token`, `cache_read_input_token_cost`,
/// `cache_creation_input_token_cost` and the same with `_above_200k_tokens` or another threshold, `tiered_pricing`,
/// `max_input_tokens` (the context window), `max_output_tokens`, and of the `supports_` keys `function_calling`,
/// `vision`, `pdf_input`, `response_schema`, `reasoning` and `assistant_prefill`. Other keys are ignored. What a model
/// has no key for stays as the library knows it; a price is replaced as a whole. Where a model has more than two
/// prices by length, the dearest one holds above the first threshold.
///
/// A model's name may begin with its provider's (`groq/llama-3.3-70b-versatile`), and providers that have another name
/// here are found under it (`together_ai`, `fireworks_ai`, `dashscope`, `bedrock_converse`, `vertex_ai`). Rows that are
/// no chat models by their `mode`, and `sample_spec`, are passed over.
///
/// Errors: `invalid_request`, naming the model and the key, for a value of the wrong kind or out of range (a price must
/// be from 0 to 1000 dollars a token, a limit from 0, which says nothing, to 1e12 tokens); for broken JSON, with line
/// and column; for more than 32 MiB of text or 100,000 models.
[[nodiscard]] BACKSTOP_EXPORT Result<Catalog> parse_catalog(std::string_view text);

/// The same from a file; its name stands in front of the complaint.
[[nodiscard]] BACKSTOP_EXPORT Result<Catalog> load_catalog(const std::string& path);

}  // namespace backstop::inline v0
