#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/openai_responses.hpp"
#include "support/replayed_call.hpp"

namespace openai_responses_decode_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

const Provider sol = openai_responses({.model = "gpt-5.6-sol", .api_key = "k", .base_url = "http://replayed.test/v1"});

ReplayedAnswer sent(std::string body, std::string_view type) {
  ReplayedAnswer answer;
  answer.headers.emplace_back("content-type", std::string{type});
  answer.body = std::move(body);
  return answer;
}

ReplayedCall plain(std::string body) { return call_with(sol, "Hi", sent(std::move(body), "application/json"), false); }

ReplayedCall streamed(const std::vector<std::string_view>& events) {
  std::string body;
  for (const std::string_view event : events) body.append("data: ").append(event).append("\n\n");
  return call_with(sol, "Hi", sent(std::move(body), "text/event-stream"), true);
}

std::string text_of(const ReplayedCall& call) {
  return call.result ? call.result->text() : to_string(call.result.error());
}

constexpr std::string_view text_begins =
    R"({"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m","content":[]}})";
constexpr std::string_view one =
    R"({"type":"response.output_text.delta","output_index":0,"item_id":"m","content_index":0,"delta":"One "})";
constexpr std::string_view two =
    R"({"type":"response.output_text.delta","output_index":0,"item_id":"m","content_index":0,"delta":"two"})";
constexpr std::string_view text_done =
    R"({"type":"response.output_text.done","output_index":0,"item_id":"m","content_index":0,"text":"One two"})";
constexpr std::string_view item_done =
    R"({"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"m","status":"completed",)"
    R"("content":[{"type":"output_text","text":"One two"}]}})";
constexpr std::string_view completed =
    R"({"type":"response.completed","response":{"id":"r","model":"gpt","status":"completed","output":[)"
    R"({"type":"message","id":"m","content":[{"type":"output_text","text":"One two"}]}],)"
    R"("usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":7},)"
    R"("output_tokens":20,"output_tokens_details":{"reasoning_tokens":12}}}})";
constexpr std::string_view completed_without_output =
    R"({"type":"response.completed","response":{"id":"r","model":"gpt","status":"completed","output":[]}})";

}  // namespace

TEST_CASE("a response has its text, its usage, its model and its id, and costs what the catalogue says") {
  const ReplayedCall call = streamed({text_begins, one, two, text_done, item_done, completed});
  REQUIRE(call.result);
  CHECK(call.result->text() == "One two");
  CHECK(call.result->id == "r");
  CHECK(call.result->model == "gpt");
  CHECK(call.result->finish_reason == FinishReason::stop);
  CHECK(call.result->usage == Usage{100, 20, 40, 7, 12});
  CHECK(call.result->cost_known);
  CHECK(call.result->cost == cost_of(call.result->usage, *sol.target().facts().price));
}

TEST_CASE("a text that is said up to four times is read once, whatever of it is missing") {
  using Events = std::vector<std::string_view>;
  for (const Events& events :
       {Events{text_begins, one, two, text_done, item_done, completed}, Events{one, two, text_done, item_done, completed},
        Events{text_begins, one, text_done, item_done, completed}, Events{text_begins, text_done, item_done, completed},
        Events{text_begins, one, item_done, completed}, Events{item_done, completed}, Events{one, completed},
        Events{completed}, Events{text_begins, one, two, completed_without_output},
        Events{text_begins, text_done, completed_without_output}, Events{item_done, completed_without_output},
        Events{item_done, item_done, text_done, two, completed}, Events{text_begins, text_begins, one, two, completed}}) {
    const ReplayedCall call = streamed(events);
    CHECK(text_of(call) == "One two");
    std::string heard;
    for (const testing::RecordedEvent& event : call.events) {
      if (event.type == StreamEvent::Type::text) heard += event.delta;
    }
    CHECK(heard == "One two");
  }
}

TEST_CASE("a text of which a piece was lost is no answer") {
  for (const std::string_view whole : {text_done, item_done, completed}) {
    const ReplayedCall call = streamed({text_begins, two, whole, completed});
    REQUIRE_FALSE(call.result);
    CHECK(call.result.error().kind == ErrorKind::stream_interrupted);
    CHECK(call.result.error().cause == ErrorKind::malformed_response);
    CHECK(call.result.error().partial_text == "two");
  }
  constexpr std::string_view trimmed =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"text":"two"}]}})";
  constexpr std::string_view padded =
      R"({"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\ntwo "})";
  CHECK(text_of(streamed({padded, trimmed, completed_without_output})) == "\ntwo ");
}

TEST_CASE("parallel calls keep apart by their places, and are handed over at their ends") {
  const ReplayedCall call = streamed({
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"get","arguments":""}})",
      R"({"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc_2","call_id":"call_2","name":"put","arguments":""}})",
      R"({"type":"response.function_call_arguments.delta","output_index":1,"item_id":"fc_2","delta":"{\"b\""})",
      R"({"type":"response.function_call_arguments.delta","output_index":0,"item_id":"fc_1","delta":"{\"a\":1}"})",
      R"({"type":"response.function_call_arguments.delta","output_index":1,"item_id":"fc_2","delta":":2}"})",
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"get","arguments":"{\"a\":1}"}})",
      R"({"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","id":"fc_2","call_id":"call_2","name":"put","arguments":"{\"b\":2}"}})",
      R"({"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","id":"fc_1","call_id":"call_1","name":"get","arguments":"{\"a\":1}"},{"type":"function_call","id":"fc_2","call_id":"call_2","name":"put","arguments":"{\"b\":2}"}]}})",
  });
  REQUIRE(call.result);
  CHECK(call.result->finish_reason == FinishReason::tool_calls);
  CHECK(call.result->tool_calls() == std::vector{ToolCall{"call_1", "get", R"({"a":1})"}, ToolCall{"call_2", "put", R"({"b":2})"}});
  std::size_t handed_over = 0;
  for (const testing::RecordedEvent& event : call.events) handed_over += event.type == StreamEvent::Type::tool_call ? 1 : 0;
  CHECK(handed_over == 2);
}

TEST_CASE("items are told apart by whatever of their places and ids is their own") {
  const auto calls = [](std::string_view first, std::string_view second) {
    const auto event = [](std::string_view type, std::string_view place, std::string_view rest) {
      return R"({"type":"response.)" + std::string{type} + "\"," + std::string{place} + "," + std::string{rest} + "}";
    };
    const auto item = [](std::string_view id, std::string_view arguments) {
      return R"("item":{"type":"function_call","call_id":")" + std::string{id} + R"(","name":"get","arguments":")" +
             std::string{arguments} + "\"}";
    };
    const std::vector<std::string> events{
        event("output_item.added", first, item("call_1", "")),
        event("output_item.added", second, item("call_2", "")),
        event("function_call_arguments.delta", first, R"("delta":"{\"a\":1}")"),
        event("function_call_arguments.delta", second, R"("delta":"{\"b\":2}")"),
        event("output_item.done", first, item("call_1", R"({\"a\":1})")),
        event("output_item.done", second, item("call_2", R"({\"b\":2})")),
        std::string{completed_without_output}};
    return streamed({events.begin(), events.end()});
  };
  const std::vector expected{ToolCall{"call_1", "get", R"({"a":1})"}, ToolCall{"call_2", "get", R"({"b":2})"}};
  for (const auto& [first, second] :
       {std::pair{R"("output_index":0,"item_id":"x")", R"("output_index":1,"item_id":"y")"},
        std::pair{R"("output_index":0)", R"("output_index":1)"}, std::pair{R"("item_id":"x")", R"("item_id":"y")"},
        std::pair{R"("output_index":0,"item_id":"x")", R"("output_index":0,"item_id":"y")"},
        std::pair{R"("output_index":0,"item_id":"x")", R"("output_index":1,"item_id":"x")"}}) {
    CAPTURE(first, second);
    const ReplayedCall call = calls(first, second);
    REQUIRE(call.result);
    CHECK(call.result->tool_calls() == expected);
  }
  // One after the other, with nothing of their own but the ids of the calls.
  constexpr std::string_view begun =
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"get"}})";
  constexpr std::string_view first =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"get","arguments":"{\"a\":1}"}})";
  constexpr std::string_view second =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"call_2","name":"get","arguments":"{\"b\":2}"}})";
  CHECK(streamed({begun, first, second, completed_without_output}).result->tool_calls() == expected);
  CHECK(streamed({begun, first, begun, first, second, completed_without_output}).result->tool_calls() == expected);
}

TEST_CASE("a call that comes whole only, or only at the very end, comes once") {
  constexpr std::string_view added =
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"get"}})";
  constexpr std::string_view arguments =
      R"({"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\":1}"})";
  constexpr std::string_view arguments_done =
      R"({"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\":1}"})";
  constexpr std::string_view done =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"get","arguments":"{\"a\":1}"}})";
  constexpr std::string_view end =
      R"({"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","call_id":"c","name":"get","arguments":"{\"a\":1}"}]}})";
  using Events = std::vector<std::string_view>;
  for (const Events& events :
       {Events{added, arguments, done, end}, Events{arguments, done, end}, Events{added, arguments_done, end},
        Events{arguments, end}, Events{done, end}, Events{end}, Events{added, end}, Events{added, arguments, completed_without_output},
        Events{added, arguments_done, completed_without_output}, Events{done, completed_without_output}}) {
    const ReplayedCall call = streamed(events);
    REQUIRE(call.result);
    CHECK(call.result->tool_calls() == std::vector{ToolCall{"c", "get", R"({"a":1})"}});
  }
  constexpr std::string_view as_object =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"get","arguments":{"a": 1}}})";
  CHECK(streamed({added, arguments, as_object, completed_without_output}).result->tool_calls() ==
        std::vector{ToolCall{"c", "get", R"({"a":1})"}});
  constexpr std::string_view bare_end = R"({"type":"response.completed","response":{"status":"completed"}})";
  CHECK(streamed({arguments, bare_end}).result.error().kind == ErrorKind::malformed_response);
  constexpr std::string_view beside = R"({"type":"response.output_text.delta","output_index":1,"delta":"Wait."})";
  CHECK(streamed({beside, arguments, bare_end}).result.error().kind == ErrorKind::stream_interrupted);
  // Without any id, a piece of it lost on the way.
  constexpr std::string_view nameless =
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"get"}})";
  constexpr std::string_view piece =
      R"({"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\""})";
  constexpr std::string_view idless_end =
      R"({"type":"response.completed","response":{"output":[{"type":"function_call","name":"get","arguments":"{\"a\":1}"}]}})";
  CHECK(streamed({nameless, piece, idless_end}).result->tool_calls().at(0).arguments == R"({"a":1})");
  // Whose name never came.
  CHECK(streamed({arguments, completed_without_output}).result.error().kind == ErrorKind::malformed_response);
  constexpr std::string_view other =
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c","name":"get","arguments":"{\"a\":2}"}})";
  CHECK_FALSE(streamed({added, arguments, other, end}).result);
}

TEST_CASE("reasoning has its summary, and what is needed to send it back as its signature") {
  const ReplayedCall call = streamed({
      R"({"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"half"}})",
      R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"First. "})",
      R"({"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"text":"First. "})",
      R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"Then."})",
      R"({"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","encrypted_content":"whole","summary":[{"type":"summary_text","text":"First. "},{"type":"summary_text","text":"Then."}]}})",
      R"({"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"m","content":[]}})",
      R"({"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"So."})",
      R"({"type":"response.completed","response":{"status":"completed","output":[{"type":"reasoning","id":"rs_1","encrypted_content":"whole","summary":[{"type":"summary_text","text":"First. "},{"type":"summary_text","text":"Then."}]},{"type":"message","content":[{"type":"output_text","text":"So."}]}]}})",
  });
  REQUIRE(call.result);
  REQUIRE(call.result->parts.size() == 2);
  CHECK(std::get<Reasoning>(call.result->parts[0]) == Reasoning{"First. Then.", "rs_1 whole", "", sol.target()});
  CHECK(call.result->text() == "So.");
}

TEST_CASE("reasoning that is encrypted only is carried, and is no answer by itself") {
  constexpr std::string_view hidden = R"({"type":"reasoning","id":"rs_1","encrypted_content":"x","summary":[]})";
  const std::string with_text = R"({"status":"completed","output":[)" + std::string{hidden} +
                                R"(,{"type":"message","content":[{"type":"output_text","text":"So."}]}]})";
  const ReplayedCall call = plain(with_text);
  REQUIRE(call.result);
  CHECK(std::get<Reasoning>(call.result->parts.at(0)).signature == "rs_1 x");
  CHECK(plain(R"({"status":"completed","output":[)" + std::string{hidden} + "]}").result.error().kind ==
        ErrorKind::malformed_response);
}

TEST_CASE("why a response is incomplete is its finish reason") {
  const auto ended = [](std::string_view details, std::string_view output) {
    return plain(R"({"status":"incomplete","incomplete_details":)" + std::string{details} + R"(,"output":[)" +
                 std::string{output} + "]}");
  };
  constexpr std::string_view text = R"({"type":"message","content":[{"type":"output_text","text":"Half"}]})";
  CHECK(ended(R"({"reason":"max_output_tokens"})", text).result->finish_reason == FinishReason::length);
  CHECK(ended(R"({"reason":"max_output_tokens"})", "").result->finish_reason == FinishReason::length);
  CHECK(ended(R"({"reason":"content_filter"})", text).result->finish_reason == FinishReason::content_filter);
  CHECK(ended(R"({"reason":"content_filter"})", "").result.error().kind == ErrorKind::content_filtered);
  CHECK(ended(R"({"reason":"something_new"})", text).result->finish_reason == FinishReason::other);
  CHECK(ended("null", text).result->finish_reason == FinishReason::other);
  CHECK(streamed({text_begins, one, R"({"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"}}})"})
            .result->finish_reason == FinishReason::length);
}

TEST_CASE("a refusal's words are text, and its finish reason says so") {
  const ReplayedCall whole = plain(R"({"status":"completed","output":[{"type":"message","content":[{"type":"refusal","refusal":"No."}]}]})");
  CHECK(text_of(whole) == "No.");
  CHECK(whole.result->finish_reason == FinishReason::content_filter);
  const ReplayedCall pieces = streamed({text_begins, R"({"type":"response.refusal.delta","output_index":0,"delta":"No."})", completed_without_output});
  CHECK(text_of(pieces) == "No.");
  CHECK(pieces.result->finish_reason == FinishReason::content_filter);
}

TEST_CASE("a response that failed is a failure of the kind of its code, however it says so") {
  constexpr std::string_view failed =
      R"({"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Slow down."}}})";
  constexpr std::string_view flat = R"({"type":"error","code":"rate_limit_exceeded","message":"Slow down.","param":null})";
  constexpr std::string_view nested =
      R"({"type":"error","sequence_number":2,"error":{"type":"tokens","code":"rate_limit_exceeded","message":"Slow down.","param":null}})";
  for (const std::string_view failure : {failed, flat, nested}) {
    const Error at_once = streamed({failure}).result.error();
    CHECK(at_once.kind == ErrorKind::rate_limited);
    CHECK(at_once.code == "rate_limit_exceeded");
    CHECK(at_once.provider_message == "Slow down.");
    const Error later = streamed({text_begins, one, failure}).result.error();
    CHECK(later.kind == ErrorKind::stream_interrupted);
    CHECK(later.cause == ErrorKind::rate_limited);
    CHECK(later.partial_text == "One ");
  }
  // Without a word of why, beside a text.
  const std::string text = R"("output":[{"type":"message","content":[{"type":"output_text","text":"Half"}]}])";
  for (const std::string status : {"failed", "cancelled"}) {
    CAPTURE(status);
    CHECK_FALSE(plain(R"({"status":")" + status + R"(","error":null,)" + text + "}").result);
    const std::string type = R"({"type":"response.)" + status + R"(","response":{)";
    const std::string said = type + R"("status":")" + status + R"(",)" + text + "}}";
    const std::string unsaid = type + text + "}}";
    CHECK_FALSE(streamed({said}).result);
    CHECK_FALSE(streamed({unsaid}).result);
  }
  CHECK(plain(R"({"status":"failed","error":{"code":"server_error","message":"Oops"},"output":[]})").result.error().kind ==
        ErrorKind::server_error);
  CHECK(plain(R"({"status":"failed","error":{"code":"invalid_prompt","message":"No"},"output":[]})").result.error().kind ==
        ErrorKind::content_filtered);
  CHECK(plain(R"({"status":"failed","error":{"code":"image_too_large","message":"No"},"output":[]})").result.error().kind ==
        ErrorKind::unsupported_capability);
  CHECK_FALSE(plain(R"({"status":"cancelled","output":[]})").result);
}

TEST_CASE("a response stream without its end is no answer") {
  for (const std::vector<std::string_view>& events :
       {std::vector{text_begins, one, two, text_done, item_done}, std::vector{text_begins, one, std::string_view{"[DONE]"}}}) {
    const Error error = streamed(events).result.error();
    CHECK(error.kind == ErrorKind::stream_interrupted);
    CHECK(error.partial_text.starts_with("One "));
  }
  CHECK_FALSE(plain(R"({"status":"in_progress","output":[]})").result);
  CHECK_FALSE(plain(R"({"status":"queued","output":[]})").result);
}

TEST_CASE("calls that the provider runs itself are passed over, what comes of them is read") {
  const ReplayedCall call = plain(
      R"({"status":"completed","output":[{"type":"web_search_call","id":"ws","status":"completed","action":{"query":"x"}},)"
      R"({"type":"mcp_call","name":"f","arguments":"{}","output":"y"},)"
      R"({"type":"message","content":[{"type":"output_text","text":"Found.","annotations":[{"type":"url_citation"}]}]}]})");
  CHECK(text_of(call) == "Found.");
  CHECK(call.result->tool_calls().empty());
}

}  // namespace openai_responses_decode_test
