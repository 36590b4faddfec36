#include "backstop/state/answer_cache.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace answer_cache_test {

using namespace backstop;
using namespace std::chrono_literals;

namespace {

ChatResponse answer(std::string text) {
  ChatResponse response;
  response.parts.emplace_back(Text{std::move(text)});
  return response;
}

constexpr TimePoint now{1000s};

}  // namespace

TEST_CASE("an answer is kept until its time is over") {
  const AnswerCache cache;
  cache.put("key", answer("hi"), now, now + 10s);
  REQUIRE(cache.find("key", now + 10s - 1ns));
  CHECK(cache.find("key", now)->text() == "hi");
  CHECK_FALSE(cache.find("other", now));
  CHECK_FALSE(cache.find("key", now + 10s));
  const AnswerCacheSnapshot snapshot = cache.snapshot();
  CHECK(snapshot.entries == 0);
  CHECK(snapshot.bytes == 0);
  CHECK(snapshot.hits == 2);
  CHECK(snapshot.misses == 2);
  CHECK(snapshot.dropped == 0);
}

TEST_CASE("what is out of date stays as long as it is to, for who asks for its age") {
  const AnswerCache cache{AnswerCache::default_max_bytes, 1min};
  cache.put("key", answer("hi"), now, now + 10s);
  CHECK(cache.find_aged("key", now + 5s, 1h).age == 5s);
  CHECK_FALSE(cache.find("key", now + 10s));
  CHECK(cache.find_aged("key", now + 69s, 1h).answer->text() == "hi");
  CHECK(cache.find_aged("key", now + 69s, 69s).age == 69s);
  CHECK_FALSE(cache.find_aged("key", now + 69s, 68s).answer);
  CHECK_FALSE(cache.find_aged("other", now, 1h).answer);
  CHECK_FALSE(cache.find_aged("key", now + 70s, 1h).answer);
  CHECK(cache.snapshot().entries == 1);
  CHECK(cache.snapshot().misses == 1);
  CHECK_FALSE(cache.find("key", now + 70s));
  CHECK(cache.snapshot().entries == 0);
  CHECK_THROWS_AS((AnswerCache{1, -1s}), std::invalid_argument);
}

TEST_CASE("a newer answer takes the place of the older one") {
  const AnswerCache cache;
  cache.put("key", answer("old"), now, now + 1s);
  const std::size_t bytes = cache.snapshot().bytes;
  const auto held = cache.find("key", now);
  cache.put("key", answer("new"), now, now + 1s);
  CHECK(cache.find("key", now)->text() == "new");
  CHECK(held->text() == "old");  // whoever has it keeps it
  CHECK(cache.snapshot().entries == 1);
  CHECK(cache.snapshot().bytes == bytes);
}

TEST_CASE("when there is no room the answers go that were used least lately") {
  const std::string long_text(10'000, 'x');
  const AnswerCache cache{45'000};
  for (const char* key : {"a", "b", "c", "d"}) cache.put(key, answer(long_text), now, now + 1h);
  CHECK(cache.snapshot().entries == 4);
  CHECK(cache.find("a", now));
  cache.put("e", answer(long_text), now, now + 1h);
  CHECK(cache.find("a", now));
  CHECK_FALSE(cache.find("b", now));
  CHECK(cache.find("c", now));
  CHECK(cache.snapshot().dropped == 1);
  CHECK(cache.snapshot().bytes <= 45'000);
  cache.put("huge", answer(std::string(50'000, 'x')), now, now + 1h);
  CHECK_FALSE(cache.find("huge", now));
  CHECK(cache.snapshot().entries == 4);
  cache.clear();
  CHECK(cache.snapshot().entries == 0);
  CHECK(cache.snapshot().bytes == 0);
  CHECK_FALSE(cache.find("a", now));
  CHECK_THROWS_AS(AnswerCache{0}, std::invalid_argument);
}

TEST_CASE("many threads use one cache, and its bytes stay within bounds") {
  const AnswerCache cache{100'000};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 2000; ++i) {
        const std::string key = std::to_string((i * 7 + thread) % 60);
        cache.put(key, answer(key + std::string(2000, 'x')), now, now + 1h);
        const auto found = cache.find(key, now);
        if (found && !found->text().starts_with(key + "x")) ++wrong;
        if (cache.snapshot().bytes > 100'000) ++wrong;
        if (i % 500 == 499) cache.clear();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace answer_cache_test
