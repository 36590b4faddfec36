#include "backstop/providers/credentials.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/matchers.hpp"
#include "call/root_call.hpp"
#include "providers/bedrock/digest.hpp"
#include "support/replay_transport.hpp"

namespace renewed_key_test {

using namespace backstop;
using namespace backstop::testing;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

namespace {

using Keys = std::vector<std::string>;

ReplayedAnswer answer_of(int status, std::string body) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = {{"content-type", "application/json"}};
  answer.body = std::move(body);
  return answer;
}

/// Virtual time that goes on only when the test says so, while calls wait for a thread: `wait` blocks until it is
/// woken.
class PatientTransport final : public HttpTransport {
 public:
  PatientTransport(VirtualClock& clock, ReplayTransport::Answering answering, const std::atomic<bool>& runs)
      : clock_{&clock}, network_{clock, std::move(answering)}, runs_{&runs} {}

  std::unique_ptr<HttpTransfer> start(const HttpRequest& request, HttpReceiver& receiver) override {
    return network_.start(request, receiver);
  }
  void wait(TimePoint until) override {
    if (!network_.idle()) return network_.wait(until);
    if (*runs_) return clock_->advance_to(until);
    std::unique_lock lock{mutex_};
    const bool woken = news_.wait_for(lock, until <= clock_->now() ? 0s : 5s, [this] { return woken_; });
    woken_ = false;
    if (!woken && until > clock_->now()) throw std::logic_error{"nobody woke the loop"};
  }
  void wake() noexcept override {
    const std::lock_guard lock{mutex_};
    woken_ = true;
    news_.notify_all();
  }

 private:
  VirtualClock* clock_;
  ReplayTransport network_;
  const std::atomic<bool>* runs_;
  std::mutex mutex_;
  std::condition_variable news_;
  bool woken_ = false;
};

/// A provider on virtual time that refuses some keys, and notes which it was sent.
class World {
 public:
  World() {
    RuntimeOptions options;
    options.clock = &clock_;
    options.transport = std::make_unique<PatientTransport>(
        clock_, [this](const HttpRequest& request) { return answer(request); }, time_runs_);
    options.seed = 7;
    options.background_driver = false;
    runtime_ = std::make_shared<Runtime>(std::move(options));
  }

  [[nodiscard]] VirtualClock& clock() noexcept { return clock_; }
  [[nodiscard]] WallTime in(Duration span) const noexcept { return clock_.wall_now() + span; }
  [[nodiscard]] Runtime& runtime() noexcept { return *runtime_; }
  void refuse(const std::string& key, int status, std::string body) {
    refused_[key] = answer_of(status, std::move(body));
  }
  /// Calls wait on virtual time again, rather than for threads.
  void let_time_run() noexcept { time_runs_ = true; }
  Keys used() { return std::exchange(used_, {}); }
  [[nodiscard]] const std::vector<Header>& last_headers() const noexcept { return last_headers_; }

  Result<ChatResponse> call(const Provider& provider, Duration deadline = 10min, int max_attempts = 5) {
    const ChatRequest request{"Hi"};
    detail::RootCall call{*runtime_, CallLimits{deadline, max_attempts}, nullptr};
    Runtime::Gate gate;
    runtime_->block_until(gate, [&] { call.start(provider.get(), request, nullptr, [&] { runtime_->open(gate); }); });
    return call.result();
  }
  [[nodiscard]] FallbackClient client(std::vector<Provider> providers) const {
    FallbackOptions options;
    options.runtime = runtime_;
    options.recovery.max_wait = Duration::zero();
    return FallbackClient{std::move(providers), std::move(options)};
  }

 private:
  ReplayedAnswer answer(const HttpRequest& request) {
    last_headers_ = request.headers;
    std::string key;
    for (const Header& header : request.headers) {
      if (header.first == "authorization") key = header.second.substr(std::string{"Bearer "}.size());
    }
    used_.push_back(key);
    const auto found = refused_.find(key);
    if (found != refused_.end()) return found->second;
    return answer_of(200, R"({"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]})");
  }

  VirtualClock clock_;
  std::atomic<bool> time_runs_{false};
  std::map<std::string, ReplayedAnswer> refused_;
  Keys used_;
  std::vector<Header> last_headers_;
  std::shared_ptr<Runtime> runtime_;
};

Provider model(const Credentials& keys, std::string name = "gpt-4o") {
  return openai({.model = std::move(name), .credentials = keys, .base_url = "http://replayed.test/v1"});
}

/// A token service: hands out key-1, key-2, ..., and can be made to wait until it may answer.
class TokenService {
 public:
  [[nodiscard]] KeyFunction function() {
    return [this]() -> Result<ExpiringKey> {
      std::unique_lock lock{mutex_};
      ++asked_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      ++answered_;
      changed_.notify_all();
      if (!failure_.empty()) return Error{ErrorKind::connect_failed, failure_};
      ExpiringKey key;
      key.key = "key-" + std::to_string(answered_) + "-of-the-service";
      if (life_ != Duration::zero()) key.expires_at = world_->clock().wall_now() + life_;
      return key;
    };
  }
  explicit TokenService(World& world, Duration life) : world_{&world}, life_{life} {}
  TokenService(const TokenService&) = delete;
  TokenService& operator=(const TokenService&) = delete;

  /// The function does not return until it is let, or this is gone: declare it after what waits for the function.
  class Held {
   public:
    explicit Held(TokenService& service) : service_{&service} {
      const std::lock_guard lock{service.mutex_};
      service.open_ = false;
    }
    ~Held() { service_->let_answer(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

   private:
    TokenService* service_;
  };
  void let_answer() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  void fail_with(std::string words) {
    const std::lock_guard lock{mutex_};
    failure_ = std::move(words);
  }
  void wait_until_asked(int times) { wait_until(asked_, times); }
  void wait_until_answered(int times) { wait_until(answered_, times); }
  [[nodiscard]] int asked() const {
    const std::lock_guard lock{mutex_};
    return asked_;
  }

 private:
  void wait_until(const int& count, int times) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, 5s, [&] { return count >= times; })) throw std::logic_error{"nobody asked for a key"};
  }

  World* world_;
  Duration life_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int asked_ = 0;
  int answered_ = 0;
  std::string failure_;
};

Result<ExpiringKey> throw_words() { throw std::runtime_error{"the metadata server is on fire"}; }

Result<ExpiringKey> throw_anything() { throw 7; }

}  // namespace

TEST_CASE("a key is fetched when it is first needed, and kept until shortly before its end") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(service.asked() == 0);
  CHECK(answers(world.call(provider), "Hello"));
  world.clock().advance(58min - 1ns);
  CHECK(answers(world.call(provider)));
  CHECK(world.used() == Keys{"key-1-of-the-service", "key-1-of-the-service"});
  CHECK(service.asked() == 1);

  // Two minutes before its end the next one is fetched; the call that finds this out goes on with the old one.
  const TokenService::Held held{service};
  world.clock().advance(1ns);
  CHECK(answers(world.call(provider)));
  service.wait_until_asked(2);
  CHECK(answers(world.call(provider)));
  CHECK(world.used() == Keys{"key-1-of-the-service", "key-1-of-the-service"});
  CHECK(service.asked() == 2);
}

TEST_CASE("a key of little time is fetched anew in the last tenth of it") {
  World world;
  TokenService service{world, 100s};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  const TokenService::Held held{service};
  world.clock().advance(90s - 1ns);
  CHECK(answers(world.call(provider)));
  CHECK(service.asked() == 1);
  world.clock().advance(1ns);
  CHECK(answers(world.call(provider)));
  service.wait_until_asked(2);
}

TEST_CASE("a key that has ended is not used: calls wait for the next one, which is fetched once") {
  World world;
  TokenService service{world, 1h};
  const Credentials keys = credentials_from(service.function());
  const FallbackClient client = world.client({model(keys)});
  CHECK(answers(client.chat("Hi")));
  world.clock().advance(1h);
  static_cast<void>(world.used());
  std::vector<std::future<CallResult>> calls;
  const TokenService::Held held{service};
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::async(std::launch::async, [&client] { return client.chat("Hi"); }));
  }
  service.wait_until_asked(2);
  CHECK(world.used().empty());
  service.let_answer();
  for (auto& call : calls) CHECK(answers(call.get(), "Hello"));
  CHECK(world.used() == Keys(8, "key-2-of-the-service"));
  CHECK(service.asked() == 2);
}

TEST_CASE("a key without an end is fetched once") {
  World world;
  TokenService service{world, Duration::zero()};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  world.clock().advance(24h * 365);
  CHECK(answers(world.call(provider)));
  CHECK(service.asked() == 1);
}

TEST_CASE("targets that share a fetched key fetch it once") {
  World world;
  TokenService service{world, 1h};
  const Credentials keys = credentials_from(service.function());
  CHECK(keys.size() == 1);
  CHECK(answers(world.call(model(keys))));
  CHECK(answers(world.call(model(keys, "gpt-4o-mini"))));
  CHECK(service.asked() == 1);
}

TEST_CASE("what the function returns or throws is an authentication error of the target, without a send") {
  struct Case {
    KeyFunction function;
    std::string message;
  };
  World world;
  const std::vector<Case> cases{
      {[]() -> Result<ExpiringKey> {
         return Error{ErrorKind::connect_failed, "no route to the service"};
       },
       "the application's function for keys failed: no route to the service"},
      {[]() -> Result<ExpiringKey> {
         return Error{ErrorKind::server_error, ""};
       },
       "the application's function for keys failed and did not say why"},
      {throw_words, "the application's function for keys failed: it threw: the metadata server is on fire"},
      {throw_anything, "the application's function for keys failed: it threw something that is no std::exception"},
      {[] { return Result<ExpiringKey>{ExpiringKey{}}; }, "the application's function for keys returned an empty key"},
      {[] {
         return Result<ExpiringKey>{ExpiringKey{"a\nb", "", "", {}}};
       },
       "the application's function for keys returned a key that holds line breaks or other control characters"},
      {[] {
         return Result<ExpiringKey>{ExpiringKey{"good", "", "a\rb", {}}};
       },
       "the application's function for keys returned a key that holds line breaks or other control characters"},
      {[&] {
         return Result<ExpiringKey>{ExpiringKey{"good", "", "", world.in(0s)}};
       },
       "the application's function for keys returned a key that has ended: its `expires_at` has passed"},
  };
  for (const Case& each : cases) {
    const auto result = world.call(model(credentials_from(each.function)));
    REQUIRE(fails_with(result, ErrorKind::authentication));
    CHECK(result.error().message == each.message);
    CHECK(result.error().replay == ReplaySafety::not_sent);
    CHECK(result.error().target.name() == "openai/gpt-4o");
    REQUIRE(result.error().attempts.size() == 1);
    CHECK_FALSE(result.error().attempts.front().sent);
  }
  CHECK(world.used().empty());
}

TEST_CASE("a target without a key is passed over, and asked again when there may be one") {
  World world;
  TokenService service{world, 1h};
  service.fail_with("no");
  const Provider own = model(credentials_from(service.function()));
  const Provider other = openai({.model = "other", .api_key = "other-key", .base_url = "http://replayed.test/v1"});
  const FallbackClient client = world.client({own, other});
  CHECK(answers(client.chat("Hi"), "Hello"));
  CHECK(world.used() == Keys{"other-key"});
  service.fail_with("");
  world.clock().advance(1s - 1ns);
  CHECK(answers(client.chat("Hi")));
  CHECK(world.used() == Keys{"other-key"});
  CHECK(service.asked() == 1);
  world.clock().advance(1ns);
  CHECK(answers(client.chat("Hi")));
  CHECK(world.used() == Keys{"key-2-of-the-service"});
  CHECK(service.asked() == 2);
}

TEST_CASE("while the old key is good a failing function costs no call anything") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  service.fail_with("no");
  world.clock().advance(59min);
  CHECK(answers(world.call(provider)));
  service.wait_until_answered(2);
  CHECK(answers(world.call(provider)));
  CHECK(world.used() == Keys(3, "key-1-of-the-service"));
  world.clock().advance(1min);
  const auto ended = world.call(provider);
  CHECK(fails_with(ended, ErrorKind::authentication));
  CHECK(world.used().empty());
}

TEST_CASE("a call waits for its key no longer than it may, and the function may end later") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  const TokenService::Held held{service};
  world.let_time_run();
  const auto late = world.call(provider, 5s);
  CHECK(fails_with(late, ErrorKind::deadline_exceeded));
  CHECK(late.error().replay == ReplaySafety::not_sent);
  service.wait_until_asked(1);
  CHECK(world.used().empty());
}

TEST_CASE("a key that the provider refuses is fetched anew at once, and the request sent again") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  world.refuse("key-1-of-the-service", 401,
               R"({"error":{"message":"key-1-of-the-service has ended","code":"invalid_api_key"}})");
  static_cast<void>(world.used());
  const auto reply = world.call(provider);
  CHECK(answers(reply, "Hello"));
  CHECK(world.used() == Keys{"key-1-of-the-service", "key-2-of-the-service"});
  REQUIRE(reply->attempts.size() == 2);
  CHECK(reply->attempts[0].outcome == ErrorKind::authentication);
  CHECK(reply->attempts[0].provider_message == "*** has ended");
  CHECK(answers(world.call(provider)));
  CHECK(world.used() == Keys{"key-2-of-the-service"});
}

TEST_CASE("a refused key that is replaced puts no target of a client to rest") {
  World world;
  TokenService service{world, 1h};
  const FallbackClient client = world.client({model(credentials_from(service.function()))});
  REQUIRE(answers(client.chat("Hi")));
  world.refuse("key-1-of-the-service", 401, R"({"error":{"message":"no","code":"invalid_api_key"}})");
  for (int call = 0; call < 3; ++call) CHECK(answers(client.chat("Hi")));
  // Nor does one that there was no second send for.
  world.refuse("key-2-of-the-service", 401, R"({"error":{"message":"no","code":"invalid_api_key"}})");
  CHECK(fails_with(client.chat("Hi", {.limits = {.max_attempts = 1}}), ErrorKind::authentication));
  CHECK(answers(client.chat("Hi")));
  CHECK(service.asked() == 3);
}

TEST_CASE("a key that is fetched when another has ended, and is refused, is not sent again, by later calls neither") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  world.clock().advance(2h);
  world.refuse("key-2-of-the-service", 401, R"({"error":{"message":"no","code":"invalid_api_key"}})");
  static_cast<void>(world.used());
  CHECK(fails_with(world.call(provider), ErrorKind::authentication));
  CHECK(world.used() == Keys{"key-2-of-the-service"});
  CHECK(answers(world.call(provider)));
  CHECK(world.used() == Keys{"key-3-of-the-service"});
}

TEST_CASE("a key that was fetched for the call is not fetched again when it is refused") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  world.refuse("key-1-of-the-service", 401, R"({"error":{"message":"no","code":"invalid_api_key"}})");
  CHECK(fails_with(world.call(provider), ErrorKind::authentication));
  CHECK(world.used() == Keys{"key-1-of-the-service"});
  CHECK(service.asked() == 1);
}

TEST_CASE("a refused key is fetched anew within the call's sends only, and for a refusal of the key only") {
  World world;
  TokenService service{world, 1h};
  const Provider provider = model(credentials_from(service.function()));
  CHECK(answers(world.call(provider)));
  world.refuse("key-1-of-the-service", 403, R"({"error":{"message":"no","code":"permission_denied"}})");
  CHECK(fails_with(world.call(provider), ErrorKind::permission));
  CHECK(service.asked() == 1);
  world.refuse("key-1-of-the-service", 401, R"({"error":{"message":"no","code":"invalid_api_key"}})");
  static_cast<void>(world.used());
  CHECK(fails_with(world.call(provider, 10min, 1), ErrorKind::authentication));
  CHECK(world.used() == Keys{"key-1-of-the-service"});
  CHECK(answers(world.call(provider, 10min, 1)));  // the refused one is gone all the same
  CHECK(world.used() == Keys{"key-2-of-the-service"});
}

TEST_CASE("a fetched key that has an id signs requests to AWS, and takes its token along") {
  if (!detail::has_digests()) SKIP("this build has no OpenSSL (BACKSTOP_WITH_OPENSSL)");
  World world;
  ExpiringKey key{"the-secret-key", "AKID", "the-session-token", {}};
  const auto provider_with = [](const ExpiringKey& fetched) {
    return bedrock({.model = "m",
                    .credentials = credentials_from([fetched] { return Result<ExpiringKey>{fetched}; }),
                    .base_url = "http://replayed.test"},
                   {.region = "eu-west-1"});
  };
  const auto header = [&world](std::string_view name) {
    for (const Header& each : world.last_headers()) {
      if (each.first == name) return each.second;
    }
    return std::string{};
  };
  CHECK_FALSE(world.call(provider_with(key)));  // it is no answer of Converse's
  CHECK(header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/bedrock/"));
  CHECK(header("x-amz-security-token") == "the-session-token");
  key = {"the-api-key", "", "", {}};
  CHECK_FALSE(world.call(provider_with(key)));
  CHECK(header("authorization") == "Bearer the-api-key");
  CHECK(header("x-amz-security-token").empty());
}

TEST_CASE("the last handle waits for a function that runs") {
  World world;
  TokenService service{world, 1h};
  std::atomic<bool> ended{false};
  const auto fetch = service.function();
  {
    Provider provider = model(credentials_from([&ended, fetch] {
      auto key = fetch();
      for (int turn = 0; turn < 10'000; ++turn) std::this_thread::yield();  // others go on meanwhile
      ended = true;
      return key;
    }));
    const TokenService::Held held{service};
    world.let_time_run();
    CHECK(fails_with(world.call(provider, 5s), ErrorKind::deadline_exceeded));
    service.wait_until_asked(1);
    CHECK_FALSE(ended);
  }
  CHECK(ended);
}

TEST_CASE("a function may destroy the last handle itself") {
  World world;
  std::promise<void> gone;
  auto slot = std::make_shared<std::optional<Provider>>();
  std::promise<void> may_go;
  const std::shared_future<void> allowed = may_go.get_future().share();
  slot->emplace(model(credentials_from([&gone, slot, allowed]() -> Result<ExpiringKey> {
    allowed.wait();
    slot->reset();
    gone.set_value();
    return Error{ErrorKind::server_error, "too late"};
  })));
  world.let_time_run();
  CHECK(fails_with(world.call(Provider{**slot}, 5s), ErrorKind::deadline_exceeded));
  may_go.set_value();
  gone.get_future().wait();
  CHECK_FALSE(slot->has_value());
}

TEST_CASE("an empty function is refused") {
  CHECK_THROWS_MATCHES(credentials_from(nullptr), std::invalid_argument,
                       Catch::Matchers::Message("credentials_from: the function is empty"));
}

TEST_CASE("a function beside another source of the key is refused") {
  const Credentials keys = credentials_from(throw_words);
  CHECK_THROWS_AS(openai({.model = "gpt-4o", .api_key = "key", .credentials = keys}), std::invalid_argument);
}

}  // namespace renewed_key_test
