#include "backstop/catalog/catalog.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/providers/openai.hpp"
#include "catalog/table.hpp"

namespace catalog_test {

using namespace backstop;

TEST_CASE("a model's price, window and capabilities are found by its name") {
  const ModelFacts facts = facts_for("anthropic", "claude-haiku-4-5");
  REQUIRE(facts.price);
  CHECK(facts.price->input == Money::usd_per_million(1));
  CHECK(facts.price->output == Money::usd_per_million(5));
  CHECK(facts.price->cache_read == Money::usd_per_million(0.1));
  CHECK(facts.price->cache_write == Money::usd_per_million(1.25));
  CHECK(facts.context_window == 200'000);
  CHECK(facts.max_output_tokens == 64'000);
  CHECK(facts.capabilities.tools);
  CHECK(facts.capabilities.prefill);
  CHECK_FALSE(facts_for("anthropic", "claude-sonnet-5").capabilities.prefill);
}

TEST_CASE("what the sources deny is denied, what they do not state keeps its default") {
  const ModelFacts deepseek = facts_for(Target::parse("deepseek/deepseek-chat"));
  CHECK_FALSE(deepseek.capabilities.vision);
  CHECK_FALSE(deepseek.capabilities.reasoning);
  CHECK(deepseek.capabilities.json_schema);
  CHECK(facts_for("openai", "gpt-5.6-sol").capabilities.documents);
  CHECK_FALSE(facts_for("openai", "gpt-5.6-sol").max_output_tokens);
}

TEST_CASE("long requests have their own price where the provider charges one") {
  const ModelFacts facts = facts_for("openai", "gpt-5.6-sol");
  REQUIRE(facts.price);
  REQUIRE(facts.price->long_input);
  CHECK(*facts.price->long_input == PriceTier{272'000, Money::usd_per_million(10), Money::usd_per_million(45),
                                              Money::usd_per_million(1), Money::usd_per_million(12.5)});
  CHECK_FALSE(facts_for("openai", "gpt-4o").price->long_input);
}

TEST_CASE("an unknown model or provider has no facts") {
  CHECK(facts_for("groq", "gpt-99") == ModelFacts{});
  CHECK(facts_for("openai", "gpt-99") == ModelFacts{.capabilities = {.audio = false}});
  CHECK(facts_for("azure", "my-gpt-audio") == ModelFacts{});
  CHECK(facts_for("nobody", "gpt-4o") == ModelFacts{});
  CHECK(facts_for("ollama", "llama3.2") == ModelFacts{});
  CHECK(facts_for("", "") == ModelFacts{});
  CHECK(facts_for(Target{}) == ModelFacts{});
}

TEST_CASE("providers go by the library's names and by those of the sources") {
  CHECK(facts_for("gemini", "gemini-2.5-pro") == facts_for("google", "gemini-2.5-pro"));
  CHECK(facts_for("gemini", "gemini-2.5-pro").price);
  CHECK(facts_for("bedrock", "amazon.nova-pro-v1:0").price);
  CHECK(facts_for("together", "openai/gpt-oss-120b").price);
  CHECK(facts_for("moonshot", "kimi-k2.6").price);
}

TEST_CASE("every row is found under the library's own name of its provider") {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> names{{{"amazon-bedrock", "bedrock"},
                                                                                {"google", "gemini"},
                                                                                {"moonshotai", "moonshot"},
                                                                                {"alibaba", "qwen"},
                                                                                {"togetherai", "together"}}};
  for (const detail::CatalogRow& row : detail::catalog_rows()) {
    const auto is_other = [&row](const auto& name) { return name.first == row.provider; };
    const auto other = std::find_if(names.begin(), names.end(), is_other);
    const std::string_view ours = other == names.end() ? row.provider : other->second;
    CAPTURE(ours, row.model);
    CHECK(facts_for(ours, row.model).price);
    CHECK(facts_for(ours, row.model) == facts_for(row.provider, row.model));
  }
}

TEST_CASE("models that think and do not show it are known, where their wire hides it") {
  for (const char* name : {"openai/gpt-5.6-sol", "openai/o3", "xai/grok-4.3"}) {
    CAPTURE(name);
    CHECK(facts_for(Target::parse(name)).thinks_unseen);
  }
  for (const char* name : {"openai/gpt-4o", "xai/grok-4.20-0309-non-reasoning", "anthropic/claude-opus-5",
                           "groq/openai/gpt-oss-20b", "deepseek/deepseek-reasoner", "openai/unknown"}) {
    CAPTURE(name);
    CHECK_FALSE(facts_for(Target::parse(name)).thinks_unseen);
  }
}

TEST_CASE("what well-known models can do") {
  struct Example {
    const char* name;
    bool tools;
    bool vision;
    bool documents;
    bool reasoning;
    bool prefill;
  };
  for (const Example& example : {
           Example{"anthropic/claude-sonnet-5", true, true, true, true, false},
           Example{"anthropic/claude-haiku-4-5", true, true, true, true, true},
           Example{"openai/gpt-4o", true, true, true, false, false},
           Example{"openai/gpt-5", true, true, false, true, false},
           Example{"openai/o3", true, true, true, true, false},
           Example{"gemini/gemini-2.5-flash", true, true, true, true, false},
           Example{"groq/llama-3.3-70b-versatile", true, false, false, false, false},
           Example{"groq/openai/gpt-oss-120b", true, false, false, true, false},
           Example{"deepseek/deepseek-chat", true, false, false, false, false},
           Example{"deepseek/deepseek-reasoner", true, false, false, true, false},
           Example{"mistral/mistral-large-2512", true, true, false, false, false},
           Example{"perplexity/sonar", false, false, false, false, false},
           Example{"bedrock/amazon.nova-lite-v1:0", true, true, false, false, false},
           Example{"xai/grok-4.3", true, true, true, true, false},
           Example{"zai/glm-4.7", true, false, false, true, false},
       }) {
    CAPTURE(example.name);
    const Capabilities expected{.tools = example.tools, .vision = example.vision, .documents = example.documents,
                                .json_schema = true, .reasoning = example.reasoning, .prefill = example.prefill,
                                .audio = !std::string_view{example.name}.starts_with("openai/") &&
                                         !std::string_view{example.name}.starts_with("mistral/")};
    CHECK(facts_for(Target::parse(example.name)).capabilities == expected);
  }
}

TEST_CASE("a dated name has the facts of the undated one") {
  CHECK(facts_for("openai", "gpt-4o-2024-11-20") == facts_for("openai", "gpt-4o"));
  CHECK(facts_for("anthropic", "claude-sonnet-4-5-20250929") == facts_for("anthropic", "claude-sonnet-4-5"));
  CHECK(facts_for("gemini", "models/gemini-2.5-flash-001") == facts_for("gemini", "gemini-2.5-flash"));
  CHECK_FALSE(facts_for("openai", "-2024-11-20").price);
  CHECK_FALSE(facts_for("openai", "gpt-4o-2024-11").price);
  CHECK(facts_for("gemini", "models/models/") == ModelFacts{});
}

TEST_CASE("models that providers have retired are known by the names that configurations still have") {
  struct Example {
    const char* name;
    double input;   // dollars per million tokens
    double output;
    std::int64_t window;
  };
  for (const Example& example : {
           Example{"anthropic/claude-3-opus-20240229", 15, 75, 200'000},
           Example{"anthropic/claude-3-5-sonnet-20240620", 3, 15, 200'000},
           Example{"anthropic/claude-3-5-sonnet-latest", 3, 15, 200'000},
           Example{"anthropic/claude-3-5-haiku-20241022", 0.8, 4, 200'000},
           Example{"anthropic/claude-3-7-sonnet-20250219", 3, 15, 200'000},
           Example{"anthropic/claude-sonnet-4-20250514", 3, 15, 200'000},
           Example{"bedrock/anthropic.claude-3-haiku-20240307-v1:0", 0.25, 1.25, 200'000},
           Example{"openai/gpt-3.5-turbo", 0.5, 1.5, 16'385},
           Example{"openai/gpt-3.5-turbo-0613", 1.5, 2, 4'097},
           Example{"openai/gpt-4", 30, 60, 8'192},
           Example{"openai/gpt-4-turbo-2024-04-09", 10, 30, 128'000},
           Example{"openai/gpt-4o-2024-05-13", 5, 15, 128'000},
           Example{"openai/gpt-4o-2024-08-06", 2.5, 10, 128'000},
           Example{"openai/o1-preview-2024-09-12", 15, 60, 128'000},
           Example{"openai/o3-mini", 1.1, 4.4, 200'000},
           Example{"gemini/gemini-1.5-pro-latest", 1.25, 5, 2'097'152},
           Example{"gemini/models/gemini-2.0-flash-001", 0.1, 0.4, 1'048'576},
           Example{"groq/mixtral-8x7b-32768", 0.24, 0.24, 32'768},
           Example{"groq/llama-3.1-70b-versatile", 0.59, 0.79, 0},
           Example{"together/meta-llama/Meta-Llama-3.1-70B-Instruct-Turbo", 0.88, 0.88, 131'072},
           Example{"deepseek/deepseek-coder", 0.14, 0.28, 128'000},
       }) {
    CAPTURE(example.name);
    const ModelFacts facts = facts_for(Target::parse(example.name));
    REQUIRE(facts.price);
    CHECK(facts.price->input == Money::usd_per_million(example.input));
    CHECK(facts.price->output == Money::usd_per_million(example.output));
    CHECK(facts.context_window.value_or(0) == example.window);
  }
  CHECK(facts_for("gemini", "gemini-1.5-pro").price->long_input->above_input_tokens == 128'000);
  CHECK_FALSE(facts_for("openai", "o1-mini").capabilities.tools);
  CHECK(facts_for("anthropic", "claude-3-5-sonnet-latest").capabilities.prefill);
}

TEST_CASE("an application's own facts stand before the library's") {
  ModelFacts cheap;
  cheap.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(2)};
  ModelFacts own = cheap;
  own.context_window = 5'000;
  Catalog catalog;
  CHECK(catalog.facts_for("openai", "gpt-4o") == facts_for("openai", "gpt-4o"));
  catalog.set("openai", "gpt-4o", cheap).set("mine", "model", own).set("gemini", "gemini-9", own);
  CHECK(catalog.size() == 3);
  CHECK(catalog.facts_for("openai", "gpt-4o") == cheap);
  CHECK(catalog.facts_for("openai", "gpt-4o-2024-11-20") == cheap);
  CHECK(catalog.facts_for("mine", "model") == own);
  CHECK(catalog.facts_for("mine", "model-latest") == own);
  CHECK(catalog.facts_for("google", "models/gemini-9-001") == own);
  CHECK(catalog.facts_for("openai", "gpt-5") == facts_for("openai", "gpt-5"));
  CHECK(catalog.facts_for("mine", "other") == ModelFacts{});
}

TEST_CASE("a copy of a catalogue does not change with it") {
  Catalog first;
  first.set("a", "m", {});
  Catalog second = first;
  CHECK(second == first);
  ModelFacts facts;
  facts.context_window = 7;
  second.set("a", "m", facts);
  CHECK_FALSE(first.facts_for("a", "m").context_window);
  CHECK(second.facts_for("a", "m").context_window == 7);
  CHECK_FALSE(second == first);
  CHECK(Catalog{} == Catalog{});
}

TEST_CASE("a target takes what its catalogue says, and what it is told itself before that") {
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd_per_million(2)};
  facts.context_window = 5'000;
  Catalog catalog;
  catalog.set("openai", "gpt-4o", facts);
  const Provider target = openai({.model = "gpt-4o", .catalog = catalog, .context_window = 6'000});
  CHECK(target.target().facts().price == facts.price);
  CHECK(target.target().facts().context_window == 6'000);
}

TEST_CASE("latest is the name without it, or the newest dated one") {
  CHECK(facts_for("anthropic", "claude-haiku-4-5-latest") == facts_for("anthropic", "claude-haiku-4-5"));
  CHECK(facts_for("mistral", "mistral-large-latest") == facts_for("mistral", "mistral-large-2512"));
  CHECK(facts_for("mistral", "mistral-medium-latest") == facts_for("mistral", "mistral-medium-2604"));
  CHECK(facts_for("mistral", "codestral-latest").price);
  CHECK(facts_for("anthropic", "claude-opus-latest") == ModelFacts{});
}

TEST_CASE("every row of the catalogue is found by its own name and is plausible") {
  // What a slip of the unit, by a thousand, would leave.
  const Money least = Money::usd_per_million(0.01);
  for (const detail::CatalogRow& row : detail::catalog_rows()) {
    CAPTURE(row.provider, row.model);
    const ModelFacts facts = facts_for(row.provider, row.model);
    REQUIRE(facts.price);
    const bool free = facts.price->output == Money{};
    CHECK(facts.price->input >= (free ? Money{} : least));
    CHECK(facts.price->input <= facts.price->output);
    CHECK(facts.price->output <= facts.price->input * 12);
    CHECK(facts.price->output <= Money::usd_per_million(row.model == "o1-pro" ? 600 : 200));
    CHECK(facts.context_window.value_or(4'097) >= 4'097);
    CHECK(facts.max_output_tokens.value_or(1) <= facts.context_window.value_or(1));
    if (const Money read = facts.price->cache_read.value_or(Money{}); read != Money{}) {
      CHECK(read <= facts.price->input);
      CHECK(read * 150 >= facts.price->input);
    }
    if (const Money write = facts.price->cache_write.value_or(Money{}); write != Money{}) {
      CHECK(write >= facts.price->input);
      CHECK(write <= facts.price->input * 2);
    }
    if (facts.price->long_input) {
      CHECK(facts.price->long_input->above_input_tokens <= facts.context_window);
      CHECK(facts.price->long_input->input > facts.price->input);
      CHECK(facts.price->long_input->input <= facts.price->input * 5);
      CHECK(facts.price->long_input->output > facts.price->output);
      CHECK(facts.price->long_input->output <= facts.price->output * 5);
    }
  }
}

}  // namespace catalog_test
