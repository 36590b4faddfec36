#include "policies/one_target.hpp"

#include <catch2/catch_test_macros.hpp>

#include <memory>
#include <string>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/intercept.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace one_target_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// A provider of the application's own, that describes itself like one of the library's.
class Own final : public ChatProvider {
 public:
  explicit Own(std::string name) : name_{std::move(name)} {}
  [[nodiscard]] const Target& target() const noexcept override { return target_; }
  Task<Result<ChatResponse>> call(const ChatRequest&, CallContext&) const override {
    co_return Error{ErrorKind::server_error, "not today"};
  }
  [[nodiscard]] std::string describe() const override { return name_; }

 private:
  Target target_{"own", "m"};
  std::string name_;
};

Policy named(std::string name) {
  return intercept({.before = [](RequestEdit&) { return Result<void>{}; }, .name = std::move(name)});
}

}  // namespace

TEST_CASE("what sends to one target is told by what it is, not by its name") {
  const ScriptedProvider model{"one/a"};
  const auto sends_to_one = [](const Provider& provider) { return detail::sends_to_one_target(provider.get()); };
  CHECK(sends_to_one(model));
  CHECK(sends_to_one(model | timeout(20s)));
  CHECK(sends_to_one(model | named("cache")));
  CHECK_FALSE(sends_to_one(model | cache()));
  CHECK_FALSE(sends_to_one(Own{"model"}));
  CHECK_FALSE(sends_to_one(FallbackClient{model}));
}

TEST_CASE("a policy of the application's that is called fallback hides no cap from explain") {
  VirtualRuntime world;
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(1), .output = Money::usd(1)};
  const ScriptedProvider model{Target{"one", "a", facts}, {answer("ok")}};
  const Policy cap = cost_cap({.per_request = Money::usd(0.01)});
  FallbackOptions options;
  options.runtime = world.share();
  const auto steps = [&](const Provider& provider) { return FallbackClient{provider, options}.explain("hello").steps; };
  REQUIRE(steps(model | cap).size() == 1);
  REQUIRE(steps(model | cap)[0].skipped);
  REQUIRE(steps(model | cap | named("fallback")).size() == 1);
  REQUIRE(steps(model | cap | named("fallback"))[0].skipped);
  CHECK(steps(model | cap | named("fallback"))[0].skipped->kind == steps(model | cap)[0].skipped->kind);
}

}  // namespace one_target_test
