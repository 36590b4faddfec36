// What a call says of itself before its end.

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/policies/bulkhead.hpp"
#include "backstop/policies/cost_cap.hpp"
#include "backstop/policies/rate_limit.hpp"
#include "backstop/policies/retry.hpp"
#include "backstop/policies/single_flight.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"

namespace progress_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;

namespace {

/// The events in words, each with the second at which it came.
class Words final : public Observer {
 public:
  explicit Words(const VirtualRuntime& world) : world_{&world} {}
  void on_progress(const ProgressEvent& event) noexcept override { note(event); }
  void note(const ProgressEvent& event) {
    lines.push_back(std::to_string(std::chrono::duration_cast<std::chrono::seconds>(world_->elapsed()).count()) + ": " +
                    to_string(event) + (event.before != nullptr ? " after " + event.before->target.name() : ""));
  }

  std::vector<std::string> lines;

 private:
  const VirtualRuntime* world_;
};

struct Lab {
  [[nodiscard]] FallbackClient client(std::vector<Provider> targets, Duration max_wait = 0s) const {
    FallbackOptions options;
    options.recovery.max_wait = max_wait;
    options.observers = {words};
    options.runtime = world.share();
    return FallbackClient{std::move(targets), options};
  }

  VirtualRuntime world;
  std::shared_ptr<Words> words = std::make_shared<Words>(world);
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a program can say that the first target fails and the second is asked, while the call runs") {
  Lab lab;
  const FallbackClient client = lab.client({ScriptedProvider{"one/a", {error(ErrorKind::overloaded).after(2s)}},
                                            ScriptedProvider{"two/b", {answer("hi").after(3s)}}});
  Words told{lab.world};
  std::string text;
  REQUIRE(client.chat("hello", {.on_event = [&](const StreamEvent& event) {
    if (event.type == StreamEvent::Type::progress) told.note(*event.progress);
    text += event.delta;
  }}));
  CHECK(told.lines == Lines{"0: asking one/a", "2: one/a failed: scripted overloaded", "2: asking two/b after one/a"});
  CHECK(lab.words->lines == told.lines);
  CHECK(text == "hi");
}

TEST_CASE("candidates that are passed over are told with the reason") {
  Lab lab;
  const ScriptedProvider limited{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 60s})}};
  const FallbackClient client = lab.client({limited, ScriptedProvider{"two/b", {answer("hi")}}});
  REQUIRE(client.chat("hello"));
  lab.words->lines.clear();
  REQUIRE(client.chat("hello"));
  REQUIRE(lab.words->lines.size() == 2);
  CHECK(lab.words->lines[0].starts_with("0: one/a is passed over: "));
  CHECK(lab.words->lines[1] == "0: asking two/b after one/a");
}

TEST_CASE("a wait is told with how long it takes at most and why") {
  Lab lab;
  const auto lines_of = [&](const Provider& provider, Duration max_wait = 0s) {
    lab.words->lines.clear();
    const Duration begin = lab.world.elapsed();
    const FallbackClient client = lab.client({provider}, max_wait);
    REQUIRE(client.chat("hello"));
    REQUIRE(client.chat("hello"));
    CHECK(lab.world.elapsed() > begin);
    Lines waits;
    for (const std::string& line : lab.words->lines) {
      if (const auto at = line.find("waiting"); at != std::string::npos) waits.push_back(line.substr(at));
    }
    return waits;
  };
  const auto fails_once = [] {
    return ScriptedProvider{"one/a", {error(ErrorKind::rate_limited, {.retry_after = 4s}), answer("hi")}};
  };
  const Lines retried = lines_of(fails_once() | retry());
  REQUIRE(retried.size() == 1);
  CHECK(retried[0].ends_with("for one/a (retry)"));
  CHECK(lines_of(fails_once(), 10s) == Lines{"waiting 4s for a target to recover"});
  CHECK(lines_of(ScriptedProvider{"one/a", {answer("hi")}} |
                 rate_limit({.requests_per_minute = 6, .burst = 1, .max_wait = 20s})) ==
        Lines{"waiting 10s for one/a (rate_limit)"});
}

TEST_CASE("a wait for a place and for money is told") {
  Lab lab;
  ChatRequest request{"hello"};
  request.max_output_tokens = 100;
  const auto second_waits = [&](const Provider& provider) {
    lab.words->lines.clear();
    const FallbackClient client = lab.client({provider});
    PendingCall first = client.start(request);
    PendingCall second = client.start(request);
    REQUIRE(first.wait());
    REQUIRE(second.wait());
    std::string waits;
    for (const std::string& line : lab.words->lines) {
      if (line.find("waiting") != std::string::npos) waits += line.substr(line.find('('));
    }
    return waits;
  };
  CHECK(second_waits(ScriptedProvider{"one/a", {answer("hi").after(1s)}} |
                     bulkhead({.max_in_flight = 1, .max_queued = 1})) == "(bulkhead)");
  const Target dear{"one", "a", {.price = Price{Money{}, Money::usd_per_million(10)}}};
  CHECK(second_waits(ScriptedProvider{dear, {answer("hi").after(1s).usage(1, 1)}} |
                     cost_cap(Budget{{.per_period = Money::usd_per_million(1500)}})) == "(cost_cap)");
}

TEST_CASE("a shared send that goes on tells nothing to a call that has left it") {
  Lab lab;
  const Provider shared = ScriptedProvider{"one/a", {silence()}} | single_flight();
  const FallbackClient client = lab.client({shared});
  std::optional<PendingCall> patient;
  {
    int events = 0;
    std::stop_source source;
    const auto count = [&](const StreamEvent&) { ++events; };
    PendingCall first = client.start("hello", {.stop = source.get_token(), .on_event = count});
    lab.world.run_for(1s);
    patient.emplace(client.start("hello", {.limits = {.deadline = 5s}}));
    lab.world.run_for(1s);
    source.request_stop();
    CHECK_FALSE(first.wait());
    CHECK(events > 0);
  }
  CHECK(patient->wait().error().kind == ErrorKind::deadline_exceeded);
}

}  // namespace progress_test
