// Ends in the ways in which programs end while the library is used, and prints what a call in the end has given.

#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "backstop/backstop.hpp"
#include "support/ends_after.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace {

std::string base_url;

Provider target() {
  return openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = base_url});
}

void ask_and_print() {
  const FallbackClient client{target()};
  const auto reply = client.chat("hello");
  std::printf("%s\n", reply ? reply->text().c_str() : to_string(reply.error()).c_str());
  PendingCall call = client.start("hello");
  std::printf("%s\n", call.wait() ? "in the background" : to_string(call.wait().error()).c_str());
  std::fflush(stdout);
}

/// Constructed before anything of the library's, so that it is destroyed after it.
struct First {
  ~First() {
    if (at_end) ask_and_print();
  }
  bool at_end = false;
} first;

/// A client that lives as long as the program.
std::shared_ptr<FallbackClient> kept;

PendingCall*& left_running() {
  static PendingCall* call = nullptr;  // never destroyed
  return call;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const std::string_view way = arguments[1];
  base_url = arguments[2];
  if (way == "exit-handler") {
    std::atexit(ask_and_print);
    ask_and_print();
    return 0;
  }
  if (way == "static-object") {
    ask_and_print();
    first.at_end = true;
    return 0;
  }
  if (way == "static-client") {
    kept = std::make_shared<FallbackClient>(target());
    std::printf("%s\n", kept->start("hello").wait() ? "answered" : "failed");
    return 0;
  }
  if (way == "worker") {
    std::promise<void> begun;
    kept = std::make_shared<FallbackClient>(local_model("slow", [&](const ChatRequest&, const StopFlag&) {
      begun.set_value();
      std::promise<void>{}.get_future().wait_for(10s);
      return Result<ChatResponse>{Error{ErrorKind::server_error, "too late"}};
    }));
    left_running() = new PendingCall{kept->start("hello")};
    begun.get_future().wait();
    std::puts("left");
    return 0;
  }
  if (way == "exit-in-callback") {
    std::promise<void> asked;
    const FallbackClient client{target() | faults::ends_after(asked.get_future().share())};
    left_running() = new PendingCall{client.start("hello")};
    left_running()->on_done([](const Result<ChatResponse>& reply) {
      std::printf("%s\n", reply ? "answered" : "failed");
      std::exit(0);
    });
    asked.set_value();
    std::promise<void>{}.get_future().wait_for(10s);
    return 3;
  }
  if (way == "busy-callback") {
    std::promise<void> asked;
    std::promise<void> begun;
    const FallbackClient client{target() | faults::ends_after(asked.get_future().share())};
    left_running() = new PendingCall{client.start("hello")};
    left_running()->on_done([&](const Result<ChatResponse>&) {
      begun.set_value();
      std::promise<void>{}.get_future().wait_for(10s);
    });
    asked.set_value();
    begun.get_future().wait();
    std::puts("left");
    std::fflush(stdout);
    std::exit(0);
  }
  if (way == "busy-thread") {
    kept = std::make_shared<FallbackClient>(target());
    std::thread{[] { static_cast<void>(kept->chat("nobody answers")); }}.detach();
    static_cast<void>(std::getchar());  // the request has come
    std::puts("left");
    return 0;
  }
  return 2;
}
