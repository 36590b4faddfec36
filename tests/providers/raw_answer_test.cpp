#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "backstop/fallback_client.hpp"
#include "backstop/json.hpp"
#include "backstop/policies/cache.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "support/every_wire.hpp"
#include "support/fault_server.hpp"
#include "support/sent_body.hpp"

namespace raw_answer_test {

using namespace backstop;
using namespace backstop::testing_support;
using Catch::Matchers::ContainsSubstring;

using Json = nlohmann::json;

TEST_CASE("what the provider sent is kept where the request asks for it, on every wire") {
  for (const SpokenWire& wire : every_wire()) {
    for (const bool stream : {false, true}) {
      for (const bool keep : {false, true}) {
        CAPTURE(wire.name, stream, keep);
        faults::FaultServer server;
        const FallbackClient client{wire.at(server)};
        ChatRequest request{"Hi"};
        request.keep_raw = keep;
        server.next(faults::answer(faults::Answer{.text = "One and two."}));
        Result<ChatResponse> reply = [&] {
          if (!stream) return client.chat(request);
          ChatStream events = client.stream(request);
          for (const StreamEvent& event : events) static_cast<void>(event);
          return events.result();
        }();
        REQUIRE(reply);
        CHECK(reply->text() == "One and two.");
        if (!keep) {
          CHECK(reply->raw.empty());
          continue;
        }
        CAPTURE(reply->raw);
        const Json raw = Json::parse(reply->raw, nullptr, false);
        if (stream) {
          REQUIRE(raw.is_array());
          CHECK(raw.size() == 2);
        } else {
          REQUIRE(raw.is_object());
          CHECK_THAT(reply->raw, ContainsSubstring("One and two."));
        }
        // What says of the tokens; in base64 where a stream of events is inside another.
        const bool wrapped = wire.wire == faults::Wire::invoke && stream;
        const std::vector<std::string_view> words = wrapped ? std::vector<std::string_view>{"bytes"}
                                                            : std::vector<std::string_view>{"sage", "eval_count"};
        CHECK(std::any_of(words.begin(), words.end(), [&](std::string_view word) {
          return reply->raw.find(word) != std::string::npos;
        }));
        CHECK(to_json(*reply)["raw"] == nlohmann::ordered_json::parse(reply->raw));
      }
    }
  }
}

TEST_CASE("a field that has no place elsewhere, and a number of any size, is in what was kept") {
  ChatRequest request{"Hi"};
  request.keep_raw = true;
  ReplayedAnswer answer;
  answer.body = R"({"system_fingerprint": "fp_1", "n": 123456789012345678901234567890,
                    "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})";
  const ReplayedCall call = call_with(target_of("openai", {.model = "gpt-4o"}), request, answer, false);
  REQUIRE(call.result);
  CHECK_THAT(call.result->raw, ContainsSubstring(R"("system_fingerprint":"fp_1","n":123456789012345678901234567890)"));
  CHECK_THAT(json_text(to_json(*call.result)), ContainsSubstring("\"n\":123456789012345678901234567890"));
  request.keep_raw = false;
  const ReplayedCall without = call_with(target_of("openai", {.model = "gpt-4o"}), request, answer, false);
  CHECK_FALSE(to_json(*without.result).contains("raw"));
}

}  // namespace raw_answer_test
