#include <optional>
#include <string>
#include <string_view>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "backstop/catalog/catalog.hpp"

namespace litellm_test {

using namespace backstop;
using Catch::Matchers::ContainsSubstring;

namespace {

/// In the form of LiteLLM's model_prices_and_context_window.json.
constexpr std::string_view sample = R"({
  "sample_spec": {"litellm_provider": "one of the providers", "max_input_tokens": "the most, if it is known",
                  "mode": "one of: chat, embedding", "input_cost_per_token": 0.0},
  "gpt-next": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 32000, "max_input_tokens": 900000,
               "max_output_tokens": 32000, "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
               "cache_read_input_token_cost": 1.25e-07, "input_cost_per_token_above_200k_tokens": 5e-06,
               "output_cost_per_token_above_200k_tokens": 2e-05,
               "cache_read_input_token_cost_above_200k_tokens": 2.5e-07,
               "input_cost_per_token_above_200k_tokens_batches": 9, "input_cost_per_token_priority": "dear",
               "supports_vision": true, "supports_pdf_input": false, "supports_reasoning": true,
               "supports_function_calling": true, "deprecation_date": "2030-01-01"},
  "anthropic/claude-next": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06,
                            "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
                            "supports_assistant_prefill": true, "supports_response_schema": false},
  "together_ai/meta-llama/Llama-9": {"litellm_provider": "together_ai", "mode": "chat",
                                     "input_cost_per_token": 9.499999999999999e-07, "output_cost_per_token": 0},
  "amazon.nova-9-v1:0": {"litellm_provider": "bedrock_converse", "mode": "chat", "max_input_tokens": 300000},
  "vertex_ai/claude-next": {"litellm_provider": "vertex_ai-anthropic_models", "mode": "chat",
                            "max_input_tokens": 200000},
  "gemini-next": {"litellm_provider": "vertex_ai-language-models", "mode": "chat", "max_input_tokens": 400000},
  "gemini/gemini-next": {"litellm_provider": "gemini", "mode": "chat", "max_input_tokens": 500000},
  "gemini/gemini-newer": {"litellm_provider": "gemini", "mode": "chat", "max_input_tokens": 600000},
  "dashscope/qwen-next": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
      {"input_cost_per_token": 1.2e-06, "output_cost_per_token": 3.6e-06, "range": [256000.0, 1000000.0]},
      {"input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06, "range": [0, 256000.0]}]},
  "many/steps": {"litellm_provider": "many", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
                 "input_cost_per_token_above_256k_tokens": 3e-06, "output_cost_per_token_above_256k_tokens": 4e-06,
                 "input_cost_per_token_above_32k_tokens": 2e-06, "output_cost_per_token_above_32k_tokens": 5e-06},
  "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06,
             "output_cost_per_token": 8e-06},
  "gpt-4.1": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 500000},
  "text-embedding-9": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-08},
  "bedrock/claude-latest": {"alias_of": "anthropic.claude-next"},
  "deepseek-next": {"litellm_provider": "deepseek", "input_cost_per_token": 9e-06, "output_cost_per_token": 9e-06},
  "deepseek/deepseek-next": {"litellm_provider": "deepseek", "input_cost_per_token": 1e-06,
                             "output_cost_per_token": 1e-06}
})";

Catalog read(std::string_view text) {
  Result<Catalog> catalog = parse_catalog(text);
  if (!catalog) FAIL(catalog.error().message);
  return *std::move(catalog);
}

std::string refusal(std::string_view text) {
  const Result<Catalog> catalog = parse_catalog(text);
  if (catalog) return "";
  CHECK(catalog.error().kind == ErrorKind::invalid_request);
  return catalog.error().message;
}

}  // namespace

TEST_CASE("prices, limits and capabilities are read as LiteLLM writes them") {
  const Catalog catalog = read(sample);
  const ModelFacts next = catalog.facts_for("openai", "gpt-next");
  CHECK(next.price == Price{Money::usd_per_million(2.5), Money::usd_per_million(10), Money::usd_per_million(0.125),
                            std::nullopt,
                            PriceTier{200'000, Money::usd_per_million(5), Money::usd_per_million(20),
                                      Money::usd_per_million(0.25), std::nullopt}});
  CHECK(next.context_window == 900'000);
  CHECK(next.max_output_tokens == 32'000);
  CHECK(next.capabilities == Capabilities{.documents = false, .audio = false});
  CHECK(next.thinks_unseen);

  const ModelFacts claude = catalog.facts_for("anthropic", "claude-next");
  CHECK(claude.price->cache_write == Money::usd_per_million(3.75));
  CHECK_FALSE(claude.context_window);
  CHECK(claude.capabilities == Capabilities{.json_schema = false, .prefill = true});
  CHECK_FALSE(claude.thinks_unseen);
}

TEST_CASE("providers of LiteLLM's list are found under their names here") {
  const Catalog catalog = read(sample);
  CHECK(catalog.facts_for("together", "meta-llama/Llama-9").price);
  CHECK(catalog.facts_for("bedrock", "amazon.nova-9-v1:0").context_window == 300'000);
  CHECK(catalog.facts_for("vertex", "claude-next").context_window == 200'000);
  CHECK(catalog.facts_for("vertex", "claude-next").price == std::nullopt);
  CHECK(catalog.facts_for("vertex", "gemini-next").context_window == 400'000);
  CHECK(catalog.facts_for("gemini", "gemini-next").context_window == 500'000);
  CHECK(catalog.facts_for("vertex", "gemini-newer").context_window == 600'000);  // of the maker's own
  CHECK(catalog.facts_for("qwen", "qwen-next").price);
  CHECK(catalog.facts_for("alibaba", "qwen-next").price);
}

TEST_CASE("a price is exact to the unit, whatever the last digit of its float is") {
  CHECK(read(sample).facts_for("together", "meta-llama/Llama-9").price->input == Money::usd_per_million(0.95));
}

TEST_CASE("prices by length come as keys or as a list, and of several the dearest holds above the first threshold") {
  const Catalog catalog = read(sample);
  CHECK(catalog.facts_for("qwen", "qwen-next").price->input == Money::usd_per_million(0.4));
  CHECK(catalog.facts_for("qwen", "qwen-next").price->long_input ==
        PriceTier{256'000, Money::usd_per_million(1.2), Money::usd_per_million(3.6)});
  CHECK(catalog.facts_for("many", "steps").price->long_input ==
        PriceTier{32'000, Money::usd_per_million(3), Money::usd_per_million(5)});
}

TEST_CASE("what a file does not say of a model stays as the library knows it") {
  const Catalog catalog = read(sample);
  const ModelFacts built_in = facts_for("openai", "gpt-4o");
  const ModelFacts read_anew = catalog.facts_for("openai", "gpt-4o");
  CHECK(read_anew.price == Price{Money::usd_per_million(2), Money::usd_per_million(8)});
  CHECK(read_anew.context_window == built_in.context_window);
  CHECK(read_anew.capabilities == built_in.capabilities);
  CHECK(catalog.facts_for("openai", "gpt-4.1").price == facts_for("openai", "gpt-4.1").price);
  CHECK(catalog.facts_for("openai", "gpt-4.1").context_window == 500'000);
}

TEST_CASE("rows that are no chat models are passed over, and a name with its provider stands before a bare one") {
  const Catalog catalog = read(sample);
  CHECK(catalog.size() == 14);
  CHECK_FALSE(catalog.facts_for("openai", "text-embedding-9").price);
  CHECK(catalog.facts_for("deepseek", "deepseek-next").price->input == Money::usd_per_million(1));
}

TEST_CASE("a value of the wrong kind is refused with the model and the key") {
  const auto row = [](std::string_view member) {
    return refusal(R"({"good": {"litellm_provider": "a"}, "bad": {"litellm_provider": "a", "mode": "chat", )" +
                   std::string{member} + "}}");
  };
  CHECK(row(R"("input_cost_per_token": -1e-06)") ==
        "the model \"bad\": `input_cost_per_token` must be a number of dollars a token from 0 to 1000");
  CHECK_THAT(row(R"("output_cost_per_token": "1e-06")"), ContainsSubstring("`output_cost_per_token` must be a number"));
  CHECK_THAT(row(R"("input_cost_per_token": 0, "output_cost_per_token": 0, "cache_read_input_token_cost": 1001)"),
             ContainsSubstring("from 0 to 1000"));
  CHECK_THAT(row(R"("max_input_tokens": -1)"), ContainsSubstring("`max_input_tokens` must be a number of tokens"));
  CHECK_THAT(row(R"("max_output_tokens": 1e15)"), ContainsSubstring("from 0 to 1000000000000"));
  CHECK_THAT(row(R"("supports_vision": "yes")"), ContainsSubstring("`supports_vision` must be true or false"));
  CHECK_THAT(row(R"("tiered_pricing": 7)"), ContainsSubstring("`tiered_pricing` must be an array"));
  CHECK_THAT(row(R"("tiered_pricing": [7])"), ContainsSubstring("`tiered_pricing` must give each price its `range`"));
  CHECK_THAT(row(R"("input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
                    "input_cost_per_token_above_200k_tokens": [])"),
             ContainsSubstring("`input_cost_per_token_above_200k_tokens` must be"));
  CHECK(row(R"("input_cost_per_token": null, "max_input_tokens": null, "max_output_tokens": 0)").empty());
  CHECK_THAT(refusal(R"({"x": {"litellm_provider": 7}})"), ContainsSubstring("\"x\": `litellm_provider` must be a text"));
  CHECK(refusal(R"({"x": []})") == "the model \"x\" must be an object");
  CHECK(refusal("[]") == "must be an object of models, each by its name");
  CHECK(refusal("{\n  \"a\": }").starts_with("broken JSON at line 2, column 8"));
  CHECK_THAT(refusal(R"({"x": {"litellm_provider": "a", "input_cost_per_token": 1e999}})"),
             ContainsSubstring("out of range"));
}

TEST_CASE("a file of prices is bounded, and named in what is wrong with it") {
  std::string many = "{";
  for (int i = 0; i <= 100'000; ++i) many += "\"" + std::to_string(i) + "\":1,";
  many.back() = '}';
  CHECK(refusal(many) == "holds 100001 models; at most 100000 are accepted");
  CHECK_THAT(refusal(std::string((std::size_t{32} << 20U) + 1, ' ')), ContainsSubstring("larger than 33554432 bytes"));
  const Result<Catalog> missing = load_catalog("/nowhere/prices.json");
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error().message, ContainsSubstring("/nowhere/prices.json: cannot be read: "));
}

}  // namespace litellm_test
