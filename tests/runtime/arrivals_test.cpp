#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/timeout.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/virtual_clock.hpp"
#include "runtime/http_exchange.hpp"
#include "support/poster.hpp"
#include "support/replay_transport.hpp"

namespace arrivals_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

// When bytes arrive, on virtual time: what the loop and the exchange make of it.

namespace {

/// Answers its only request whole, at one moment.
class LateTransport final : public HttpTransport {
 public:
  LateTransport(VirtualClock& clock, Duration after) : clock_{&clock}, at_{clock.now() + after} {}

  std::unique_ptr<HttpTransfer> start(const HttpRequest&, HttpReceiver& receiver) override {
    return std::make_unique<Transfer>(*this, receiver);
  }
  void wait(TimePoint until) override {
    if (receiver_ == nullptr) return;
    clock_->advance_to(std::min(until, at_));
    if (clock_->now() < at_) return;
    HttpReceiver& receiver = *std::exchange(receiver_, nullptr);
    receiver.on_connected();
    receiver.on_head({200, {}});
    receiver.on_body("in time");
    receiver.on_end({});
  }
  void wake() noexcept override {}

 private:
  struct Transfer final : HttpTransfer {
    Transfer(LateTransport& of, HttpReceiver& receiver) noexcept : transport{&of} { of.receiver_ = &receiver; }
    ~Transfer() override { transport->receiver_ = nullptr; }
    void resume() noexcept override {}
    LateTransport* transport;
  };

  VirtualClock* clock_;
  TimePoint at_;
  HttpReceiver* receiver_ = nullptr;
};

std::shared_ptr<Runtime> runtime_with(const VirtualClock& clock, std::unique_ptr<HttpTransport> transport) {
  RuntimeOptions options;
  options.clock = &clock;
  options.transport = std::move(transport);
  options.background_driver = false;
  return std::make_shared<Runtime>(std::move(options));
}

FallbackClient client_of(const Provider& provider, std::shared_ptr<Runtime> runtime) {
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = std::move(runtime);
  return FallbackClient{{provider}, std::move(options)};
}

}  // namespace

TEST_CASE("an answer that arrives in the moment of its limit is an answer") {
  for (const bool streams : {false, true}) {
    VirtualClock clock;
    const auto runtime = runtime_with(clock, std::make_unique<LateTransport>(clock, 4s));
    const Provider provider = Poster{"http://test/", true} | timeout({.connect = 9s, .attempt = 4s});
    const FallbackClient client = client_of(provider, runtime);
    EventLog log{*runtime};
    PendingCall call = streams ? client.start("hello", {.sink = &log}) : client.start("hello");
    const auto& reply = call.wait();
    REQUIRE(reply);
    CHECK(reply->text() == "in time");
    CHECK(reply->elapsed == 4s);
  }
}

TEST_CASE("a transfer that was paused for its consumer goes on with it, and nothing is lost") {
  constexpr std::size_t piece = std::size_t{64} * 1024;
  testing_support::ReplayedAnswer answer;
  answer.body = std::string(20 * piece, 'y');
  for (std::size_t end = piece; end < answer.body.size(); end += piece) answer.splits.push_back(end);
  VirtualClock clock;
  const auto runtime = runtime_with(clock, std::make_unique<testing_support::ReplayTransport>(clock, answer));
  EventLog log{*runtime};
  log.pause();
  PendingCall call = client_of(Poster{"http://test/", true}, runtime).start("hello", {.sink = &log});
  for (int turn = 0; turn < 100; ++turn) runtime->poll(0s);
  CHECK(log.text().size() < answer.body.size() / 2);
  log.resume();
  const auto& reply = call.wait();
  REQUIRE(reply);
  CHECK(reply->text() == answer.body);
  CHECK(log.text() == answer.body);
}

}  // namespace arrivals_test
