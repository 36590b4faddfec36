#include "backstop/runtime/wakeup.hpp"

#include <catch2/catch_test_macros.hpp>

#include <future>
#include <thread>
#include <vector>

#include "backstop/fallback_client.hpp"

namespace wakeup_test {

using namespace backstop;

namespace {

/// Answers when it is woken.
class Waiting final : public ModelProvider {
 public:
  explicit Waiting(std::promise<Wakeup::Waker>& waker) : ModelProvider{Target{"own", "m"}}, waker_{&waker} {}

 private:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
    Wakeup wakeup{context};
    waker_->set_value(wakeup.waker());
    auto wait = wakeup.until(TimePoint::max());
    auto woken = co_await wait;
    if (!woken) co_return std::move(woken).error();
    ChatResponse response;
    response.parts.emplace_back(Text{"woken"});
    co_return response;
  }

  std::promise<Wakeup::Waker>* waker_;
};

}  // namespace

TEST_CASE("a waker may be used by several threads, also when what it woke is gone") {
  std::promise<Wakeup::Waker> promise;
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client{{Provider{Waiting{promise}}}, options};
  PendingCall call = client.start("hello");
  const Wakeup::Waker waker = promise.get_future().get();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (waker.wake()) std::this_thread::yield();  // until the call has ended
    });
  }
  REQUIRE(call.wait());
  threads.clear();
  CHECK(call.wait()->text() == "woken");
  CHECK_FALSE(waker.wake());
}

}  // namespace wakeup_test
