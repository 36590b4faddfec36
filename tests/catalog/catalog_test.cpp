#include "backstop/catalog/catalog.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

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
  CHECK(facts_for("openai", "gpt-99") == ModelFacts{});
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
                                .json_schema = true, .reasoning = example.reasoning, .prefill = example.prefill};
    CHECK(facts_for(Target::parse(example.name)).capabilities == expected);
  }
}

TEST_CASE("a dated name has the facts of the undated one") {
  CHECK(facts_for("openai", "gpt-4o-2024-11-20") == facts_for("openai", "gpt-4o"));
  CHECK(facts_for("anthropic", "claude-sonnet-4-5-20250929") == facts_for("anthropic", "claude-sonnet-4-5"));
  CHECK(facts_for("gemini", "models/gemini-2.5-flash-001") == facts_for("gemini", "gemini-2.5-flash"));
  CHECK(facts_for("openai", "-2024-11-20") == ModelFacts{});
  CHECK(facts_for("openai", "gpt-4o-2024-11") == ModelFacts{});
  CHECK(facts_for("gemini", "models/models/") == ModelFacts{});
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
    CHECK(facts.price->output <= Money::usd_per_million(200));
    CHECK(facts.context_window.value_or(0) >= 100'000);
    CHECK(facts.max_output_tokens.value_or(1) <= facts.context_window);
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
