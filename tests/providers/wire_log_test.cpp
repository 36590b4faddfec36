#include "backstop/runtime/wire_log.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "backstop/fallback_client.hpp"
#include "backstop/providers/openai.hpp"
#include "support/every_wire.hpp"
#include "support/fault_server.hpp"
#include "support/replayed_call.hpp"

namespace wire_log_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string key = "sk-hunter2-key";

struct Logged {
  WireEvent::Type type;
  std::uint64_t number;
  std::string target;
  std::string method;
  std::string url;
  int status;
  std::string headers;
  std::string body;
  std::size_t body_size;
  Duration elapsed;
};

class Log {
 public:
  [[nodiscard]] WireLog to(bool bodies, std::size_t largest = 65536) {
    return {.write =
                [this](const WireEvent& event) {
                  std::string headers;
                  for (const Header& header : event.headers) headers += header.first + ": " + header.second + "\n";
                  events.push_back({event.type, event.number, event.target.name(), std::string{event.method},
                                    std::string{event.url}, event.status, headers, std::string{event.body},
                                    event.body_size, event.elapsed});
                },
            .bodies = bodies,
            .largest_body = largest};
  }
  [[nodiscard]] std::string all() const {
    std::string text;
    for (const Logged& one : events) text += one.url + one.headers + one.body;
    return text;
  }

  std::vector<Logged> events;
};

Provider asked(const std::string& url = "http://gateway.test/v1") {
  return openai({.model = "m", .api_key = key, .base_url = url, .name = "gateway"});
}

}  // namespace

TEST_CASE("a wire log has each request and what came of it, on every wire, and no key") {
  faults::FaultServer server;
  server.always(faults::answer("the answer"));
  Log log;
  RuntimeOptions runtime_options;
  runtime_options.wire_log = log.to(true);
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(runtime_options));
  for (const SpokenWire& wire : every_wire()) {
    for (const bool stream : {false, true}) {
      CAPTURE(wire.name, stream);
      log.events.clear();
      const FallbackClient client{wire.at(server, {.api_key = key}), options};
      if (stream) {
        for (const StreamEvent& event : client.stream("the question")) static_cast<void>(event);
      } else {
        REQUIRE(client.chat("the question"));
      }
      REQUIRE(log.events.size() == 2);
      const Logged& request = log.events[0];
      const Logged& response = log.events[1];
      CHECK(request.type == WireEvent::Type::request);
      CHECK(response.type == WireEvent::Type::response);
      CHECK(request.number == response.number);
      CHECK(request.target == client.target().name());
      CHECK(request.method == "POST");
      CHECK(request.url.starts_with(server.base_url()));
      CHECK_THAT(request.body, ContainsSubstring("the question"));
      CHECK(request.body.size() == request.body_size);
      CHECK(response.status == 200);
      // Where a stream of events is inside another they are in base64.
      const bool wrapped = wire.wire == faults::Wire::invoke && stream;
      CHECK_THAT(response.body, ContainsSubstring(wrapped ? "bytes" : "answer"));
      CHECK(response.body.size() == response.body_size);
      CHECK_THAT(log.all(), !ContainsSubstring("hunter2"));
    }
  }
}

TEST_CASE("a wire log leaves prompts and answers out unless it is told, and keeps so much of them") {
  ReplayedAnswer answer;
  answer.body = R"({"choices":[{"message":{"content":"the answer"},"finish_reason":"stop"}]})";
  const auto answering = [&](const HttpRequest&) { return answer; };
  Log silent;
  REQUIRE(call_with(asked(), "the question", answering, false, nullptr, silent.to(false)).result);
  REQUIRE(silent.events.size() == 2);
  CHECK(silent.events[0].body.empty());
  CHECK(silent.events[0].body_size > 20);
  CHECK(silent.events[1].body.empty());
  CHECK(silent.events[1].body_size == answer.body.size());

  Log bounded;
  REQUIRE(call_with(asked(), "the question", answering, false, nullptr, bounded.to(true, 10)).result);
  CHECK(bounded.events[0].body.size() == 10);
  CHECK(bounded.events[1].body == answer.body.substr(0, 10));
}

TEST_CASE("a key that a server repeats is masked in a wire log, also where it comes in pieces") {
  ReplayedAnswer refusal;
  refusal.status = 401;
  refusal.headers = {{"x-echo", "Bearer " + key}, {"set-cookie", "session=abcdef"}};
  refusal.body = R"({"error":{"message":"Incorrect API key provided: )" + key + R"("}})";
  for (std::size_t at = 1; at < refusal.body.size(); ++at) refusal.splits.push_back(at);
  Log log;
  const auto answering = [&](const HttpRequest&) { return refusal; };
  REQUIRE_FALSE(call_with(asked("http://gateway.test/v1?key=sk-hunter2-other"), "hello", answering, false, nullptr,
                          log.to(true))
                    .result);
  REQUIRE(log.events.size() == 2);
  CHECK(log.events[1].status == 401);
  CHECK_THAT(log.events[1].body, ContainsSubstring("Incorrect API key provided: ***"));
  CHECK_THAT(log.all(), !ContainsSubstring("hunter2"));
  CHECK_THAT(log.all(), !ContainsSubstring("abcdef"));
}

TEST_CASE("a wire log is told of what broke off, and its own exceptions are dropped") {
  ReplayedAnswer cut;
  cut.body = R"({"choices":[)";
  cut.cut = true;
  Log log;
  WireLog throwing = log.to(true);
  throwing.write = [write = throwing.write](const WireEvent& event) {
    write(event);
    throw std::runtime_error{"full"};
  };
  const auto answering = [&](const HttpRequest&) { return cut; };
  const ReplayedCall call = call_with(asked(), "hello", answering, false, nullptr, throwing);
  CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
  REQUIRE(log.events.size() == 2);
  CHECK(log.events[1].status == 200);
  CHECK(log.events[1].body == cut.body);
}

}  // namespace wire_log_test
