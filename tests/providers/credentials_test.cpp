#include "backstop/providers/credentials.hpp"

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "backstop/config/config.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/matchers.hpp"
#include "call/root_call.hpp"
#include "policies/context_edit.hpp"
#include "support/fault_server.hpp"
#include "support/replay_transport.hpp"
#include "support/standing.hpp"

namespace credentials_test {

using namespace backstop;
using namespace backstop::testing;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

namespace {

ReplayedAnswer healthy() {
  ReplayedAnswer answer;
  answer.headers = {{"content-type", "application/json"}};
  answer.body = R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})";
  return answer;
}

ReplayedAnswer refusal(int status, std::string code, std::vector<Header> headers = {}) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = std::move(headers);
  answer.body = R"({"error":{"message":"no","type":"","code":")" + code + "\"}}";
  return answer;
}

ReplayedAnswer limited(std::string retry_after = "") {
  if (retry_after.empty()) return refusal(429, "rate_limit_exceeded");
  return refusal(429, "rate_limit_exceeded", {{"retry-after", std::move(retry_after)}});
}

/// A provider on virtual time whose answer depends on the key.
class KeyedWorld {
 public:
  KeyedWorld() {
    auto transport = std::make_unique<ReplayTransport>(clock_, [this](const HttpRequest& request) {
      std::string key;
      for (const Header& header : request.headers) {
        if (header.first == "authorization") key = header.second.substr(std::string{"Bearer "}.size());
      }
      used_.push_back(key);
      const auto found = answers_.find(key);
      return found == answers_.end() ? healthy() : found->second;
    });
    RuntimeOptions options;
    options.clock = &clock_;
    options.transport = std::move(transport);
    options.seed = 7;
    options.background_driver = false;
    runtime_ = std::make_shared<Runtime>(std::move(options));
  }

  void answer(const std::string& key, ReplayedAnswer answer) { answers_[key] = std::move(answer); }
  void recover(const std::string& key) { answers_.erase(key); }
  testing::VirtualClock& clock() noexcept { return clock_; }
  /// Calls the provider itself, ready or not.
  [[nodiscard]] Result<ChatResponse> call(const Provider& provider, bool stream = false) const {
    const ChatRequest request{"Hi"};
    EventLog log{*runtime_};
    detail::RootCall call{*runtime_, CallLimits{}, nullptr};
    Runtime::Gate gate;
    runtime_->block_until(gate, [&] {
      call.start(provider.get(), request, stream ? &log : nullptr, [&] { runtime_->open(gate); });
    });
    return call.result();
  }
  /// Which keys requests came with since the last look.
  std::vector<std::string> used() { return std::exchange(used_, {}); }
  [[nodiscard]] FallbackClient client(std::vector<Provider> providers, int max_attempts = 5) const {
    FallbackOptions options;
    options.runtime = runtime_;
    options.limits.max_attempts = max_attempts;
    options.recovery.max_wait = Duration::zero();
    return FallbackClient{std::move(providers), std::move(options)};
  }

 private:
  testing::VirtualClock clock_;
  std::map<std::string, ReplayedAnswer> answers_;
  std::vector<std::string> used_;
  std::shared_ptr<Runtime> runtime_;
};

Provider model(std::string name, const Credentials& keys) {
  return openai({.model = std::move(name), .credentials = keys, .base_url = "http://replayed.test/v1"});
}

using Keys = std::vector<std::string>;

}  // namespace

TEST_CASE("on 429 the next key is tried at once, and used from then on") {
  KeyedWorld world;
  const FallbackClient client = world.client({model("gpt-4o", credentials({"a", "b", "c"})) | retry()});
  world.answer("a", limited());
  const auto reply = client.chat("Hi");
  CHECK(answers(reply, "Hello"));
  CHECK(sends(reply, 2));
  CHECK(reply->attempts[0].outcome == ErrorKind::rate_limited);
  CHECK(reply->attempts[0].reason == "the provider limits the rate of requests; key 1 of 3");
  CHECK(reply->attempts[0].provider_message == "no");
  CHECK(reply->attempts[1].reason == "key 2 of 3");
  CHECK(reply->attempts[1].waited == 0s);
  CHECK(reply->elapsed == 0s);
  CHECK(world.used() == Keys{"a", "b"});
  CHECK(answers(client.chat("Hi")));
  CHECK(world.used() == Keys{"b"});
}

TEST_CASE("a key rests for as long as the server says, and not longer") {
  KeyedWorld world;
  const Credentials keys = credentials({"a", "b"});
  const FallbackClient client = world.client({model("gpt-4o", keys)});
  world.answer("a", limited("30"));
  CHECK(answers(client.chat("Hi")));
  const auto resting = keys.resting(world.clock().now());
  REQUIRE(resting.size() == 2);
  REQUIRE(resting[0]);
  CHECK(resting[0]->until == world.clock().now() + 30s);
  CHECK(resting[0]->why == ErrorKind::rate_limited);
  CHECK_FALSE(resting[1]);

  world.answer("b", limited());
  static_cast<void>(world.used());
  world.clock().advance(29s);
  CHECK(fails_with(client.chat("Hi"), ErrorKind::rate_limited));
  CHECK(world.used() == Keys{"b"});
  world.clock().advance(1s);
  world.recover("a");
  CHECK(answers(client.chat("Hi")));
  CHECK(world.used() == Keys{"a"});
}

TEST_CASE("a dead key is put aside for five minutes, an unpaid one for longer each time", "[scenario-150]") {
  struct Case {
    ReplayedAnswer answer;
    ErrorKind kind;
    std::vector<Duration> spans;
  };
  for (const Case& dead : {Case{refusal(401, "invalid_api_key"), ErrorKind::authentication, {5min, 5min, 5min}},
                           Case{refusal(403, "permission_denied"), ErrorKind::permission, {5min, 5min}},
                           Case{refusal(402, ""), ErrorKind::quota_exhausted, {5min, 10min}},
                           Case{refusal(429, "insufficient_quota"),
                                ErrorKind::quota_exhausted,
                                {5min, 10min, 20min, 40min, 60min, 60min}}}) {
    CAPTURE(dead.answer.status);
    KeyedWorld world;
    const Credentials keys = credentials({"a", "b"});
    const FallbackClient client = world.client({model("gpt-4o", keys)});
    world.answer("a", dead.answer);
    for (const Duration span : dead.spans) {
      world.answer("b", limited());  // so that the call comes back to the first key
      static_cast<void>(client.chat("Hi"));
      world.recover("b");
      const auto resting = keys.resting(world.clock().now());
      REQUIRE(resting[0]);
      CHECK(resting[0]->why == dead.kind);
      CHECK(resting[0]->until == world.clock().now() + span);
      CHECK_FALSE(resting[1]);
      world.clock().advance(span);
    }
  }
}

TEST_CASE("a key that has worked again rests as briefly as the first time") {
  KeyedWorld world;
  const Credentials keys = credentials({"a"});
  const FallbackClient client = world.client({model("gpt-4o", keys)});
  for (int round = 0; round < 2; ++round) {
    world.answer("a", refusal(402, ""));
    CHECK(fails_with(client.chat("Hi"), ErrorKind::quota_exhausted));
    const auto resting = keys.resting(world.clock().now());
    REQUIRE(resting[0]);
    CHECK(resting[0]->until == world.clock().now() + 5min);
    world.clock().advance(5min);
    world.recover("a");
    CHECK(answers(client.chat("Hi")));
  }
}

TEST_CASE("calls go on with the key that worked last, also when an earlier one is ready again") {
  KeyedWorld world;
  const FallbackClient client = world.client({model("gpt-4o", credentials({"a", "b"}))});
  world.answer("a", limited("30"));
  CHECK(answers(client.chat("Hi")));
  world.recover("a");
  world.clock().advance(31s);
  static_cast<void>(world.used());
  CHECK(answers(client.chat("Hi")));
  CHECK(world.used() == Keys{"b"});
}

TEST_CASE("of the failures at several keys the one that only waits is returned, wherever it came") {
  for (const auto& [waiting, dead] : {std::pair{"a", "b"}, std::pair{"b", "a"}}) {
    CAPTURE(waiting);
    KeyedWorld world;
    const FallbackClient client = world.client({model("gpt-4o", credentials({"a", "b"}))});
    world.answer(waiting, limited("20"));
    world.answer(dead, refusal(401, "invalid_api_key"));
    const auto reply = client.chat("Hi");
    CHECK(fails_with(reply, ErrorKind::rate_limited));
    CHECK(reply.error().http_status == 429);
    CHECK(reply.error().code == "rate_limit_exceeded");
    CHECK(reply.error().retry_after == 20s);
  }
}

TEST_CASE("a key whose name a failure repeats is masked, whichever of several it is") {
  KeyedWorld world;
  const FallbackClient client = world.client({model("gpt-4o", credentials({"key-one-0123", "key-two-0123"}))});
  ReplayedAnswer echo = refusal(401, "invalid_api_key");
  echo.body = R"({"error":{"message":"neither key-one-0123 nor key-two-0123","code":"invalid_api_key"}})";
  world.answer("key-one-0123", echo);
  world.answer("key-two-0123", echo);
  const auto reply = client.chat("Hi");
  REQUIRE_FALSE(reply);
  for (const Attempt& attempt : reply.error().attempts) CHECK(attempt.provider_message == "neither *** nor ***");
}

TEST_CASE("a forced probe asks the key that is ready first, and what it finds out counts") {
  KeyedWorld world;
  const Credentials keys = credentials({"a", "b"});
  const Provider keyed = model("gpt-4o", keys);
  const Provider forced = keyed | edit_context([](CallContext& context) {
    RoutingHint hint = context.hint();
    hint.forced_probe = true;
    context.set_hint(hint);
  });
  world.answer("a", limited("60"));
  world.answer("b", limited("30"));
  CHECK(fails_with(world.call(keyed), ErrorKind::rate_limited));
  CHECK(world.used() == Keys{"a", "b"});
  const auto refused = world.call(keyed);
  CHECK(fails_with(refused, ErrorKind::local_limit));
  CHECK(refused.error().retry_after == 30s);
  CHECK(refused.error().message == "none of the 2 keys is ready; the first rests after rate_limited");
  CHECK(world.used().empty());

  world.answer("b", limited("90"));
  CHECK(fails_with(world.call(forced), ErrorKind::rate_limited));
  CHECK(world.used() == Keys{"b"});
  CHECK(keys.resting(world.clock().now())[1]->until == world.clock().now() + 90s);
  world.recover("a");
  CHECK(answers(world.call(forced)));
  CHECK(world.used() == Keys{"a"});
  CHECK_FALSE(keys.resting(world.clock().now())[0]);
  CHECK(answers(world.call(keyed)));
  CHECK(world.used() == Keys{"a"});
}

TEST_CASE("targets that share keys share what is known of them") {
  KeyedWorld world;
  const Credentials keys = credentials({"a", "b"});
  const FallbackClient first = world.client({model("gpt-4o", keys)});
  const FallbackClient second = world.client({model("gpt-4o-mini", keys)});
  world.answer("a", refusal(401, "invalid_api_key"));
  CHECK(answers(first.chat("Hi")));
  CHECK(world.used() == Keys{"a", "b"});
  CHECK(answers(second.chat("Hi")));
  CHECK(world.used() == Keys{"b"});

  world.answer("b", refusal(401, "invalid_api_key"));
  static_cast<void>(first.chat("Hi"));
  const Standing standing = testing::standing_of(model("gpt-4.1", keys), world.clock().now());
  CHECK_FALSE(standing.ready());
  CHECK(standing.why == ErrorKind::local_limit);
  CHECK(standing.ready_at == world.clock().now() + 5min);
  CHECK(standing.probe == Standing::Probe::never);  // a dead key is no better at another model
}

TEST_CASE("when every key is out the target is passed over until the first is ready", "[scenario-43]") {
  KeyedWorld world;
  const Credentials keys = credentials({"a", "b"});
  const Provider keyed = model("gpt-4o", keys);
  const FallbackClient alone = world.client({keyed});
  const FallbackClient client = world.client({keyed, model("backup", credentials({"z"}))});
  world.answer("a", refusal(401, "invalid_api_key"));
  world.answer("b", limited("20"));

  const auto reply = alone.chat("Hi");
  CHECK(fails_with(reply, ErrorKind::rate_limited));  // not that of the dead key: the other is back sooner
  CHECK(reply.error().retry_after == 20s);
  CHECK(sends(reply, 2));
  CHECK_FALSE(testing::standing_of(keyed, world.clock().now()).ready());
  CHECK(testing::standing_of(keyed, world.clock().now()).ready_at == world.clock().now() + 20s);
  CHECK(testing::standing_of(keyed, world.clock().now()).probe == Standing::Probe::never);

  const auto passed_over = client.chat("Hi");
  CHECK(answered_by(passed_over, "openai/backup"));
  CHECK(skipped(passed_over, "openai/gpt-4o", ErrorKind::local_limit));
  CHECK(tried(passed_over, {"openai/backup"}));

  world.clock().advance(20s);
  world.recover("b");
  CHECK(answered_by(client.chat("Hi"), "openai/gpt-4o"));
}

TEST_CASE("each key that is tried counts against the call's sends") {
  KeyedWorld world;
  for (const std::string key : {"a", "b", "c"}) world.answer(key, limited());
  const FallbackClient alone = world.client({model("gpt-4o", credentials({"a", "b", "c"}))}, 2);
  const auto reply = alone.chat("Hi");
  CHECK(fails_with(reply, ErrorKind::rate_limited));
  CHECK(sends(reply, 2));

  // One send is kept for the other target, and the dead key is not the target's death.
  world.answer("a", refusal(401, "invalid_api_key"));
  const FallbackClient two =
      world.client({model("gpt-4o", credentials({"a", "d"})), model("backup", credentials({"z"}))}, 2);
  const auto rescued = two.chat("Hi");
  CHECK(tried(rescued, {"openai/gpt-4o", "openai/backup"}));
  CHECK(tried(two.chat("Hi"), {"openai/gpt-4o"}));
}

TEST_CASE("failures that are not the key's are not tried with another") {
  KeyedWorld world;
  const FallbackClient client = world.client({model("gpt-4o", credentials({"a", "b"}))});
  for (const auto& [status, kind] : {std::pair{500, ErrorKind::server_error}, std::pair{503, ErrorKind::overloaded},
                                     std::pair{400, ErrorKind::invalid_request}}) {
    world.answer("a", refusal(status, ""));
    const auto reply = client.chat("Hi");
    CHECK(fails_with(reply, kind));
    CHECK(sends(reply, 1));
  }
}

TEST_CASE("once content has been delivered no other key is tried") {
  KeyedWorld world;
  ReplayedAnswer broken;
  broken.headers = {{"content-type", "text/event-stream"}};
  broken.body = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
                "data: {\"error\":{\"message\":\"no\",\"code\":\"rate_limit_exceeded\"}}\n\n";
  world.answer("a", broken);
  const auto reply = world.call(model("gpt-4o", credentials({"a", "b"})), true);
  CHECK(fails_with(reply, ErrorKind::stream_interrupted));
  CHECK(reply.error().cause == ErrorKind::rate_limited);
  CHECK(reply.error().partial_text == "Hel");
  CHECK(world.used() == Keys{"a"});
}

TEST_CASE("keys appear nowhere but in their header", "[scenario-216]") {
  faults::FaultServer server;
  server.always(faults::unauthorized());
  const std::string first = "sk-first-0123456789";
  const std::string second = "sk-second-0123456789";
  const Credentials keys = credentials({first, second});
  const Provider claude = anthropic({.model = "claude-sonnet-5", .credentials = keys, .base_url = server.base_url()});
  CHECK(claude.describe() == "anthropic/claude-sonnet-5 (2 keys)");
  const auto reply = FallbackClient{claude}.chat("Hi");
  CHECK(fails_with(reply, ErrorKind::authentication));
  REQUIRE(server.requests().size() == 2);
  CHECK(server.requests()[0].header("x-api-key") == first);
  CHECK(server.requests()[1].header("x-api-key") == second);
  const std::string everything = answers(reply).words() + claude.describe();
  CHECK(everything.find("0123456789") == std::string::npos);
  CHECK(everything.find("key 2 of 2") != std::string::npos);
}

TEST_CASE("keys can be declared well again") {
  KeyedWorld world;
  const Credentials keys = credentials({"a"});
  const FallbackClient client = world.client({model("gpt-4o", keys)});
  world.answer("a", limited("600"));
  static_cast<void>(client.chat("Hi"));
  CHECK(keys.resting(world.clock().now())[0]);
  keys.reset();
  CHECK_FALSE(keys.resting(world.clock().now())[0]);
}

TEST_CASE("blanks and line ends around a key of the environment are no part of it") {
  setenv("BACKSTOP_TEST_KEY_A", " a\n", 1);
  KeyedWorld world;
  const Provider one =
      openai({.model = "gpt-4o", .api_key_env = "BACKSTOP_TEST_KEY_A", .base_url = "http://replayed.test/v1"});
  CHECK(answers(world.call(one)));
  CHECK(answers(world.call(model("gpt-4o", credentials_from_env({"BACKSTOP_TEST_KEY_A"})))));
  CHECK(world.used() == Keys{"a", "a"});
  unsetenv("BACKSTOP_TEST_KEY_A");
}

TEST_CASE("lists of keys that cannot be right are refused, and the keys not told") {
  CHECK_THROWS_AS(credentials({}), std::invalid_argument);
  CHECK_THROWS_AS(credentials({"a", " "}), std::invalid_argument);
  CHECK_THROWS_WITH(credentials({"secret", "b", "secret"}), "credentials: key 3 is given twice");
  CHECK_THROWS_WITH(credentials({"sec\nret"}), "credentials: key 1 holds line breaks or other control characters");
  CHECK_THROWS_AS(credentials_from_env({"BACKSTOP_TEST_NO_SUCH_KEY"}), std::invalid_argument);
  CHECK_THROWS_AS(openai({.model = "gpt-4o", .api_key = "a", .credentials = credentials({"b"})}),
                  std::invalid_argument);
  CHECK(Credentials{}.empty());
  CHECK(credentials({" a\n"}).size() == 1);
}

TEST_CASE("a policy file may name several variables, which targets share", "[config]") {
  setenv("BACKSTOP_TEST_KEY_A", "a", 1);
  setenv("BACKSTOP_TEST_KEY_B", "b", 1);
  const auto policy = [](const std::string& variables) {
    return R"({"fallback_policy": {"targets": [
      {"target": "openai/gpt-4o", "base_url": "http://replayed.test/v1", "api_key_env": )" +
           variables + R"(},
      {"target": "openai/gpt-4o-mini", "base_url": "http://replayed.test/v1", "api_key_env": )" +
           variables + "}]}}";
  };
  KeyedWorld world;
  FallbackOptions options = world.client({model("unused", credentials({"x"}))}).options();
  const auto client =
      FallbackClient::from_config(parse_config(policy(R"(["BACKSTOP_TEST_KEY_A", "BACKSTOP_TEST_KEY_B"])")), options);
  REQUIRE(client);
  CHECK(client->describe().find("openai/gpt-4o (2 keys)") != std::string::npos);
  world.answer("a", refusal(401, "invalid_api_key"));
  world.answer("b", refusal(401, "invalid_api_key"));
  const auto reply = client->chat("Hi");
  CHECK(sends_to(reply, "openai/gpt-4o", 2));
  CHECK(skipped(reply, "openai/gpt-4o-mini", ErrorKind::local_limit));

  const auto problem = [&](const std::string& variables) {
    const auto config = parse_config(policy(variables));
    return config ? FallbackClient::from_config(config, options).error().message : config.error().message;
  };
  CHECK(problem("[]").find("`fallback_policy.targets[0].api_key_env` is empty") != std::string::npos);
  CHECK(problem(R"(["A", "A"])").find("targets[0].api_key_env[1]` names a variable again") != std::string::npos);
  CHECK(problem(R"(["A", 7])").find("targets[0].api_key_env[1]` must be the name") != std::string::npos);
  CHECK(problem(R"(["BACKSTOP_TEST_KEY_A", "BACKSTOP_TEST_NO_SUCH_KEY"])")
            .find("the environment variable BACKSTOP_TEST_NO_SUCH_KEY, which should hold the key") !=
        std::string::npos);
}

}  // namespace credentials_test
