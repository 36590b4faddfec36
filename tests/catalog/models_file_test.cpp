#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/catalog/catalog.hpp"

namespace models_file_test {

using namespace backstop;
using Json = nlohmann::json;

/// The data that the catalogue was made from.
namespace {

const std::filesystem::path file =
    std::filesystem::path{BACKSTOP_FIXTURES_DIR}.parent_path().parent_path() / "data" / "models.json";

std::optional<Money> per_token(const Json& prices, const char* key) {
  if (!prices.contains(key) || prices[key].is_null()) return std::nullopt;
  return Money::usd_per_million(prices[key]);
}

std::optional<std::int64_t> tokens(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional{value.get<std::int64_t>()};
}

}  // namespace

TEST_CASE("the catalogue has every model of the data it was made from, with the same figures") {
  std::ifstream input{file};
  if (!input) SKIP("there is no " << file.string());
  const Json document = Json::parse(input);
  CHECK(document.at("as_of") == std::string{catalog_date});
  CHECK(document.at("models").size() >= 97);
  for (const Json& model : document.at("models")) {
    const std::string provider = model.at("provider");
    const std::string name = model.at("id");
    CAPTURE(provider, name);
    const ModelFacts facts = facts_for(provider, name);
    CHECK(facts.context_window == tokens(model.at("context_window")));
    CHECK(facts.max_output_tokens == tokens(model.at("max_output_tokens")));
    const Json& prices = model.at("price_usd_per_mtok");
    REQUIRE(facts.price);
    CHECK(std::optional{facts.price->input} == per_token(prices, "input"));
    CHECK(std::optional{facts.price->output} == per_token(prices, "output"));
    CHECK(facts.price->cache_read == per_token(prices, "cache_read"));
    CHECK(facts.price->cache_write == per_token(prices, "cache_write"));
    const Json tiers = model.value("price_tiers", Json::array());
    CHECK(facts.price->long_input.has_value() == !tiers.empty());
    if (!tiers.empty() && facts.price->long_input) {
      CHECK(facts.price->long_input->above_input_tokens == tiers[0].at("above_input_tokens").get<std::int64_t>());
      CHECK(std::optional{facts.price->long_input->input} == per_token(tiers[0], "input"));
      CHECK(std::optional{facts.price->long_input->output} == per_token(tiers[0], "output"));
    }
    const Json& can = model.at("capabilities");
    const auto agrees = [&can](const char* key, bool ours) {
      return can.at(key).is_null() || can.at(key).get<bool>() == ours;
    };
    CHECK(agrees("tools", facts.capabilities.tools));
    CHECK(agrees("vision", facts.capabilities.vision));
    CHECK(agrees("pdf", facts.capabilities.documents));
    CHECK(agrees("json_schema", facts.capabilities.json_schema));
    CHECK(agrees("reasoning", facts.capabilities.reasoning));
  }
}

}  // namespace models_file_test
