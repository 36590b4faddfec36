#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <random>
#include <vector>

#include "backstop/chat/result.hpp"
#include "backstop/runtime/stop.hpp"
#include "backstop/runtime/task.hpp"
#include "backstop/runtime/timer.hpp"

namespace loop_parts_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

struct Ring final : Timer {
  explicit Ring(std::vector<int>& rung_list, int number) : rung{&rung_list}, id{number} {}
  void on_timer() noexcept override { rung->push_back(id); }

  std::vector<int>* rung;
  int id;
};

struct Told final : StopCallback {
  void on_stop() noexcept override { ++count; }
  int count = 0;
};

struct Finished final : detail::TaskCompletion {
  void on_task_done() noexcept override { ++count; }
  int count = 0;
};

Task<int> number(int value) { co_return value; }
Task<int> sum(int count) {
  int total = 0;
  for (int i = 1; i <= count; ++i) total += co_await number(i);
  co_return total;
}
Task<int> broken() {
  throw std::runtime_error{"no"};
  co_return 0;
}

}  // namespace

TEST_CASE("timers run in the order of their time, equal ones in the order they were armed") {
  TimerQueue queue;
  std::vector<int> rung;
  Ring a{rung, 1}, b{rung, 2}, c{rung, 3};
  const TimePoint zero{};
  queue.arm(a, zero + 2s);
  queue.arm(b, zero + 1s);
  queue.arm(c, zero + 1s);
  CHECK(queue.next() == zero + 1s);
  CHECK_FALSE(queue.run_due(zero + 999ms));
  CHECK(queue.run_due(zero + 5s, 2));
  CHECK(rung == std::vector<int>{2, 3});
  CHECK(queue.run_due(zero + 5s));
  CHECK(rung == std::vector<int>{2, 3, 1});
  CHECK(queue.empty());
  CHECK(queue.next() == TimePoint::max());
}

TEST_CASE("a timer queue agrees with sorting, whatever is armed, moved and disarmed") {
  std::mt19937 random{7};
  TimerQueue queue;
  std::vector<int> rung;
  std::vector<std::unique_ptr<Ring>> timers;
  std::vector<std::pair<int, bool>> model;  // milliseconds, armed
  for (int i = 0; i < 200; ++i) {
    timers.push_back(std::make_unique<Ring>(rung, i));
    model.emplace_back(0, false);
  }
  for (int step = 0; step < 5000; ++step) {
    const std::size_t index = random() % timers.size();
    if (random() % 3 == 0) {
      timers[index]->disarm();
      model[index].second = false;
    } else {
      model[index] = {static_cast<int>(random() % 1000), true};
      queue.arm(*timers[index], TimePoint{} + std::chrono::milliseconds{model[index].first});
    }
  }
  queue.run_due(TimePoint{} + 2s);
  std::vector<int> times;
  for (const int id : rung) times.push_back(model[static_cast<std::size_t>(id)].first);
  CHECK(std::is_sorted(times.begin(), times.end()));
  CHECK(rung.size() ==
        static_cast<std::size_t>(std::count_if(model.begin(), model.end(), [](const auto& m) { return m.second; })));
}

TEST_CASE("stopping a scope stops what is below it and leaves what is above alone", "[scenario-200]") {
  StopSource parent;
  StopSource child{parent};
  StopSource sibling{parent};
  Told at_child, at_sibling;
  child.subscribe(at_child);
  sibling.subscribe(at_sibling);
  child.request_stop(StopReason::idle);
  CHECK(at_child.count == 1);
  CHECK(at_sibling.count == 0);
  CHECK_FALSE(parent.stop_requested());
  parent.request_stop(StopReason::cancelled);
  CHECK(at_sibling.count == 1);
  CHECK(at_child.count == 1);
  CHECK(child.reason() == StopReason::idle);
  CHECK(sibling.reason() == StopReason::cancelled);
  StopSource late{sibling};
  CHECK(late.reason() == StopReason::cancelled);
}

TEST_CASE("a callback that goes away is not called") {
  StopSource source;
  {
    Told gone;
    source.subscribe(gone);
  }
  Told stays;
  source.subscribe(stays);
  source.request_stop(StopReason::cancelled);
  CHECK(stays.count == 1);
}

TEST_CASE("tasks run when awaited and give their value") {
  Finished finished;
  auto task = sum(100);
  task.start(finished);
  CHECK(finished.count == 1);
  CHECK(task.take_result() == 5050);
}

TEST_CASE("an exception inside a task comes out where its result is taken") {
  Finished finished;
  auto task = broken();
  task.start(finished);
  CHECK(finished.count == 1);
  CHECK_THROWS_AS(task.take_result(), std::runtime_error);
}

}  // namespace loop_parts_test
