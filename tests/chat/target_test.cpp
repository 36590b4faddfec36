#include "backstop/chat/target.hpp"

#include <catch2/catch_test_macros.hpp>

namespace target_test {

using namespace backstop;

TEST_CASE("a target is a provider and a model") {
  const Target target{"openai", "gpt-4o"};
  CHECK(target.provider() == "openai");
  CHECK(target.model() == "gpt-4o");
  CHECK(target.name() == "openai/gpt-4o");
  CHECK_FALSE(target.empty());
}

TEST_CASE("a model's name may contain slashes") {
  const Target target = Target::parse("openrouter/meta-llama/llama-3.3-70b");
  CHECK(target.provider() == "openrouter");
  CHECK(target.model() == "meta-llama/llama-3.3-70b");
  CHECK(target.name() == "openrouter/meta-llama/llama-3.3-70b");
}

TEST_CASE("a name without a slash is a model without a provider") {
  const Target target = Target::parse("llama3.2");
  CHECK(target.provider().empty());
  CHECK(target.model() == "llama3.2");
  CHECK(target.name() == "llama3.2");
}

TEST_CASE("a target without a model keeps its provider") {
  const Target target{"openai", ""};
  CHECK(target.provider() == "openai");
  CHECK(target.model().empty());
}

TEST_CASE("a default target is empty and may be asked everything") {
  const Target none;
  CHECK(none.empty());
  CHECK(none.name().empty());
  CHECK(none.provider().empty());
  CHECK(none.model().empty());
  CHECK(none.facts() == ModelFacts{});
}

TEST_CASE("targets are equal when their names are") {
  ModelFacts facts;
  facts.context_window = 1000;
  const Target target{"a", "b", facts};
  const Target copy = target;
  CHECK(copy == target);
  CHECK(copy.facts().context_window == 1000);
  CHECK(Target{"a", "b"} == target);
  CHECK_FALSE(Target{"a", "c"} == target);
}

}  // namespace target_test
