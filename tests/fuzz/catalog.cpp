#include "backstop/catalog/catalog.hpp"

#include "fuzz/targets.hpp"

namespace backstop::fuzz {

/// LiteLLM's price list: what is read is the same again, and what is not has a message of bounded length.
void catalog(std::string_view bytes) {
  const Result<Catalog> first = parse_catalog(bytes);
  if (!first) {
    require(first.error().kind == ErrorKind::invalid_request, "a bad file is no invalid request");
    require(!first.error().message.empty() && first.error().message.size() < 1000, "a complaint is empty or long");
    return;
  }
  require(parse_catalog(bytes).value() == *first, "a file is read in two ways");
  const ModelFacts facts = first->facts_for("openai", "m");
  require(!facts.context_window || *facts.context_window >= 1, "a window has no token");
  if (!facts.price) return;
  for (const Money cost : {facts.price->input, facts.price->output, facts.price->cache_read.value_or(Money{})}) {
    require(cost >= Money{} && cost <= Money::usd(1000), "a price is out of range");
  }
}

}  // namespace backstop::fuzz
