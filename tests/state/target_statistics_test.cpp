#include "state/target_statistics.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

namespace target_statistics_test {

using namespace backstop;
using namespace backstop::detail;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1000h};

bool near(double a, double b, double relative = 1e-3) { return std::abs(a - b) <= relative * std::abs(b); }

class Told {
 public:
  void answers(Duration at, Duration ttft, std::int64_t output = 0, Duration elapsed = Duration{0}) {
    SendEnd end{start + at, std::max(elapsed, ttft), ttft};
    if (output > 0) end.usage.output_tokens = output;
    send(end);
  }
  void fails(Duration at, ErrorKind kind, std::optional<Duration> hint = {}, Duration elapsed = 5ms) {
    Error error{kind, "no"};
    error.retry_after = hint;
    send({start + at, elapsed, {}, &error});
  }
  void send(const SendEnd& end) {
    statistics.begin();
    statistics.end(end);
  }
  [[nodiscard]] double ttft(Duration at) const { return statistics.ttft().estimate(start + at); }

  TargetStatistics statistics;
};

}  // namespace

TEST_CASE("an unknown target is expected to answer after a second") {
  Told told;
  CHECK(told.ttft(0s) == 1);
  CHECK_FALSE(told.statistics.ttft().known());
  CHECK_FALSE(told.statistics.ttft().age(start));
}

TEST_CASE("a slower answer counts at once, a faster one by and by") {
  Told told;
  told.answers(0s, 200ms);
  CHECK(near(told.ttft(0s), 0.2));
  told.answers(1s, 3s);
  CHECK(near(told.ttft(1s), 3));
  told.answers(11s, 200ms);
  CHECK(told.ttft(11s) < 2.7);
  CHECK(told.ttft(11s) > 2);
}

TEST_CASE("a target that is asked often is what its answers say, whatever is expected of unknown ones") {
  Told told;
  for (int i = 0; i < 1000; ++i) told.answers(i * 1s, 200ms, 100, 1200ms);
  CHECK(near(told.ttft(999s), 0.2));
  CHECK(near(1 / told.statistics.token_time().estimate(start + 999s), 100));
}

TEST_CASE("what is old decays towards a second, from above and from below", "[scenario-168]") {
  for (const Duration ttft : {Duration{100ms}, Duration{10s}}) {
    Told told;
    told.answers(0s, ttft);
    const double value = std::chrono::duration<double>{ttft}.count();
    CHECK(near(told.ttft(60s), 1 + (value - 1) * std::exp(-1.0)));
    CHECK(near(told.ttft(1h), 1));
    CHECK(near(told.ttft(24h * 300), 1));
  }
}

TEST_CASE("a failure counts as the present value, five seconds or the hint, whichever is longest") {
  Told told;
  told.answers(0s, 100ms);
  told.fails(0s, ErrorKind::server_error);
  CHECK(near(told.ttft(0s), 5));
  told.answers(1s, 8s);
  told.fails(1s, ErrorKind::connect_failed);
  CHECK(near(told.ttft(1s), 8));
  told.fails(1s, ErrorKind::rate_limited, 40s);
  CHECK(near(told.ttft(1s), 40));
  told.fails(1s, ErrorKind::overloaded, 10h);
  CHECK(near(told.ttft(1s), 300));
}

TEST_CASE("what was cut from outside counts the time that had passed, what is wrong with the request nothing") {
  Told told;
  told.answers(0s, 1s);
  told.fails(0s, ErrorKind::cancelled, {}, 200ms);
  CHECK(near(told.ttft(0s), 1));
  told.fails(0s, ErrorKind::cancelled, {}, 4s);
  CHECK(near(told.ttft(0s), 4));
  Error share{ErrorKind::timeout, "the share of the deadline"};
  share.timeout_limit = TimeoutLimit::deadline_share;
  told.send({start, 6s, {}, &share});
  CHECK(near(told.ttft(0s), 6));
  for (const ErrorKind kind : {ErrorKind::invalid_request, ErrorKind::context_window_exceeded,
                               ErrorKind::unsupported_capability, ErrorKind::content_filtered,
                               ErrorKind::authentication, ErrorKind::quota_exhausted}) {
    told.fails(0s, kind, {}, 30s);
    CHECK(near(told.ttft(0s), 6));
  }
  CHECK(told.statistics.counts(start).lately.ends == 1);
}

TEST_CASE("tokens a second are those from the first one on, or of the whole where the answer came in one piece") {
  Told streamed;
  streamed.answers(0s, 2s, 100, 4s);
  CHECK(near(1 / streamed.statistics.token_time().estimate(start), 50));
  Told whole;
  whole.answers(0s, 4s, 100, 4s);
  CHECK(near(1 / whole.statistics.token_time().estimate(start), 25));
  Told brief;
  brief.answers(0s, 4s, 3, 4s);
  CHECK_FALSE(brief.statistics.token_time().known());
}

TEST_CASE("shares are those of the last minute, and of all time") {
  Told told;
  for (int i = 0; i < 8; ++i) told.answers(i * 1s, 1s);
  told.fails(8s, ErrorKind::server_error);
  told.fails(8s, ErrorKind::rejected_response);
  const auto at_once = told.statistics.counts(start + 10s);
  CHECK(at_once.lately.ends == 10);
  CHECK(at_once.lately.failures == 1);
  CHECK(at_once.lately.rejections == 1);
  const auto later = told.statistics.counts(start + 2min);
  CHECK(later.lately.ends == 0);
  CHECK(later.ever.ends == 10);
}

TEST_CASE("five of which half have failed eject, for a time that doubles up to five minutes") {
  Told told;
  for (int i = 0; i < 4; ++i) told.fails(0s, ErrorKind::server_error);
  CHECK_FALSE(told.statistics.health(start).ejected);
  told.fails(0s, ErrorKind::server_error);
  Duration at{0};
  for (const Duration out : {30s, 60s, 120s, 240s, 300s, 300s}) {
    CHECK(told.statistics.health(start + at + out - 1ms).ejected);
    CHECK_FALSE(told.statistics.health(start + at + out).ejected);
    CHECK(told.statistics.health(start + at + out).share == 1);  // one finds out ...
    told.statistics.begin();
    CHECK(told.statistics.health(start + at + out).share == 0);  // ... and no other
    told.statistics.abandon();
    at += out;
    told.fails(at, ErrorKind::server_error);
  }
}

TEST_CASE("half of ten is enough, four of ten is not") {
  Told half;
  Told less;
  for (int i = 0; i < 5; ++i) {
    half.answers(0s, 1s);
    less.answers(0s, 1s);
    half.fails(0s, ErrorKind::timeout);
    if (i > 0) less.fails(0s, ErrorKind::timeout);
  }
  CHECK(half.statistics.health(start).ejected);
  CHECK_FALSE(less.statistics.health(start).ejected);
}

TEST_CASE("the first answer after its time brings a target back step by step", "[scenario-171]") {
  Told told;
  for (int i = 0; i < 5; ++i) told.fails(0s, ErrorKind::server_error);
  told.answers(10s, 1s);  // to a call that nobody else took
  CHECK(told.statistics.health(start + 20s).ejected);
  told.answers(35s, 1s);
  double last = 0;
  for (int second = 0; second <= 30; ++second) {
    const auto health = told.statistics.health(start + 35s + second * 1s);
    CHECK_FALSE(health.ejected);
    CHECK(near(health.share, 0.1 + 0.9 * second / 30.0));
    CHECK(health.share > last);
    last = health.share;
  }
  // What failed before is forgotten; the next ejection is longer, unless it has been well for a minute.
  told.fails(66s, ErrorKind::server_error);
  CHECK_FALSE(told.statistics.health(start + 66s).ejected);
  for (int i = 0; i < 4; ++i) told.fails(66s, ErrorKind::server_error);
  CHECK(told.statistics.health(start + 66s + 59s).ejected);
  CHECK_FALSE(told.statistics.health(start + 66s + 60s).ejected);
}

TEST_CASE("an hour of being well forgives the doublings") {
  Told told;
  for (int i = 0; i < 5; ++i) told.fails(0s, ErrorKind::server_error);
  told.answers(30s, 1s);
  told.answers(2min, 1s);
  for (int i = 0; i < 6; ++i) told.fails(1h, ErrorKind::server_error);
  CHECK(told.statistics.health(start + 1h + 29s).ejected);
  CHECK_FALSE(told.statistics.health(start + 1h + 30s).ejected);
}

TEST_CASE("statistics are written and read by many threads, and no value is torn", "[scenario-178]") {
  TargetStatistics statistics;
  std::atomic<bool> done{false};
  std::atomic<bool> torn{false};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      Error error{ErrorKind::server_error, "no"};
      for (int i = 0; i < 20'000; ++i) {
        const TimePoint at = start + i * 1ms;
        statistics.begin();
        SendEnd end{at, 300ms, writer == 0 ? 100ms : 200ms};
        end.usage.output_tokens = 100;
        if (i % 5000 == 0) end.error = &error;
        statistics.end(end);
      }
    });
  }
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      while (!done.load()) {
        const TimePoint at = start + 20s;
        const double ttft = statistics.ttft().estimate(at);
        const auto health = statistics.health(at);
        if (!(ttft >= 0.09 && ttft <= 5.01) || health.share < 0 || health.share > 1 || statistics.in_flight() < 0) {
          torn.store(true);
        }
      }
    });
  }
  threads[0].join();
  threads[1].join();
  done.store(true);
  threads[2].join();
  threads[3].join();
  CHECK_FALSE(torn.load());
  CHECK(statistics.in_flight() == 0);
  CHECK(statistics.counts(start + 20s).ever.ends == 40'000);
}

}  // namespace target_statistics_test
