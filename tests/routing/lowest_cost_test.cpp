#include <catch2/catch_test_macros.hpp>

#include <optional>
#include <string_view>

#include "routing/pool.hpp"

namespace lowest_cost_test {

using namespace backstop;
using namespace backstop::testing;

namespace {

Target priced(std::string_view name, double input, double output, std::optional<double> cached = {}) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(input), .output = Money::usd_per_million(output)};
  if (cached) facts.price->cache_read = Money::usd_per_million(*cached);
  return Target{target.provider(), target.model(), facts};
}

Target local(std::string_view name) {
  const Target target = Target::parse(name);
  ModelFacts facts;
  facts.local = true;
  return Target{target.provider(), target.model(), facts};
}

ChatRequest of_size(std::size_t tokens, std::int64_t most_output = 0) {
  ChatRequest request{std::string(4 * tokens, 'x')};
  if (most_output > 0) request.max_output_tokens = most_output;
  return request;
}

}  // namespace

TEST_CASE("the cheapest for this request is asked: long questions and long answers have other prices") {
  VirtualRuntime world;
  const ScriptedProvider reads{priced("x/reads", 1, 20)};
  const ScriptedProvider writes{priced("x/writes", 5, 5)};
  const FallbackClient client = pool_of(world, lowest_cost(), {writes, reads});
  CHECK(answered_by(client, of_size(10'000, 50)) == "reads");
  CHECK(answered_by(client, of_size(100, 2'000)) == "writes");
  CHECK(plan_of(client, of_size(10'000, 50)) == "reads writes");
}

TEST_CASE("who costs nothing goes first, who has no price last") {
  VirtualRuntime world;
  const ScriptedProvider unknown{"x/unknown"};
  const ScriptedProvider cheap{priced("x/cheap", 0.1, 0.1)};
  const ScriptedProvider own{local("x/own")};
  CHECK(plan_of(pool_of(world, lowest_cost(), {unknown, cheap, own})) == "own cheap unknown");
}

TEST_CASE("how much a target usually writes is learned, of one that is unknown from the others") {
  VirtualRuntime world;
  const ScriptedProvider brief{priced("x/brief", 0, 3), {answer("ok").usage(10, 100)}};
  const ScriptedProvider wordy{priced("x/wordy", 0, 2), {answer("ok").usage(10, 400)}};
  const FallbackClient client = pool_of(world, lowest_cost(), {brief, wordy});
  CHECK(answered_by(client) == "wordy");  // 512 tokens at either
  // What the wordy one writes is expected of the other too, until it has answered.
  CHECK(answered_by(client) == "wordy");
  static_cast<void>(pool_of(world, ordered(), {brief}).chat("hello"));
  CHECK(answered_by(client) == "brief");
  const ClientSnapshot snapshot = client.snapshot();
  CHECK(snapshot.candidates[0].output_tokens == 100.0);
  CHECK(snapshot.candidates[1].output_tokens == 400.0);
}

TEST_CASE("the part of the input that is usually cached has its own price") {
  VirtualRuntime world;
  class Cached final : public ModelProvider {
   public:
    explicit Cached(Target target) : ModelProvider{std::move(target)} {}

   protected:
    Task<Result<ChatResponse>> send(const ChatRequest&, CallContext&) const override {
      ChatResponse response;
      response.parts.emplace_back(Text{"ok"});
      response.usage.input_tokens = 1000;
      response.usage.cached_input_tokens = 900;
      response.usage.output_tokens = 10;
      co_return response;
    }
  };
  const Cached cached{priced("x/cached", 10, 1, 1)};
  const ScriptedProvider plain{priced("x/plain", 3, 1)};
  const FallbackClient client = pool_of(world, lowest_cost(), {cached, plain});
  CHECK(answered_by(client, of_size(1000, 10)) == "plain");
  static_cast<void>(pool_of(world, ordered(), {cached}).chat("hello"));
  CHECK(answered_by(client, of_size(1000, 10)) == "cached");  // 0.9 x 1 + 0.1 x 10 < 3
}

TEST_CASE("a pool costs what the cheapest of its targets that can take the request does") {
  VirtualRuntime world;
  Target blind = priced("x/blind", 0.1, 0.1);
  ModelFacts facts = blind.facts();
  facts.capabilities.vision = false;
  const ScriptedProvider cheap{Target{"x", "blind", facts}};
  const ScriptedProvider dear{priced("x/dear", 9, 9)};
  const ScriptedProvider middle{priced("x/middle", 3, 3)};
  const FallbackClient pool = pool_of(world, lowest_cost(), {dear, cheap});
  const FallbackClient client = pool_of(world, lowest_cost(), {middle, pool});
  CHECK(plan_of(client) == "blind dear middle");
  CHECK(answered_by(client) == "blind");
  ChatRequest picture{"look"};
  picture.messages.front().parts.emplace_back(Image{.url = "https://example.org/a.png"});
  CHECK(answered_by(client, picture) == "middle");
}

}  // namespace lowest_cost_test
