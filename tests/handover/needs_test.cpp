#include "backstop/handover/needs.hpp"
#include "handover/misfit.hpp"

#include <string>

#include <catch2/catch_test_macros.hpp>

namespace needs_test {

using namespace backstop;

namespace {

Target target_with(ModelFacts facts) { return Target{"local", "small", std::move(facts)}; }

Target window_of(std::int64_t tokens) {
  ModelFacts facts;
  facts.context_window = tokens;
  return target_with(facts);
}

}  // namespace

TEST_CASE("a plain question needs nothing but its tokens") {
  const ChatRequest request{std::string(400, 'x')};
  const Needs needs = needs_of(request);
  CHECK_FALSE(needs.tools);
  CHECK_FALSE(needs.vision);
  CHECK_FALSE(needs.documents);
  CHECK_FALSE(needs.json_schema);
  CHECK_FALSE(needs.reasoning);
  CHECK(needs.input_tokens >= 100);
  CHECK(needs.input_tokens < 120);
}

TEST_CASE("needs come from every part of a request") {
  ChatRequest request{"hello"};
  SECTION("an image needs vision") {
    request.messages[0].parts.emplace_back(Image{.url = "https://example.org/cat.png"});
    CHECK(needs_of(request).vision);
    CHECK(needs_of(request).input_tokens >= 1000);
  }
  SECTION("a file needs documents") {
    request.messages[0].parts.emplace_back(Document{.data = "JVBERi0=", .media_type = "application/pdf"});
    CHECK(needs_of(request).documents);
  }
  SECTION("a plain text file counts by its length") {
    request.messages[0].parts.emplace_back(Document{.data = std::string(40'000, 'A'), .media_type = "text/plain"});
    CHECK(needs_of(request).input_tokens > 7000);
  }
  SECTION("offered tools need tools") {
    request.tools.push_back(Tool{.name = "now"});
    CHECK(needs_of(request).tools);
  }
  SECTION("and so does a history with a tool call") {
    request.messages.push_back(Message{Role::assistant, {ToolCall{"call_1", "now", "{}"}}});
    CHECK(needs_of(request).tools);
  }
  SECTION("a schema needs structured output, plain JSON does not") {
    request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_object};
    CHECK_FALSE(needs_of(request).json_schema);
    request.response_format->type = ResponseFormat::Type::json_schema;
    CHECK(needs_of(request).json_schema);
  }
  SECTION("reasoning counts from low effort on") {
    request.reasoning_effort = "minimal";
    CHECK_FALSE(needs_of(request).reasoning);
    request.reasoning_effort = "low";
    CHECK(needs_of(request).reasoning);
  }
}

TEST_CASE("a form that the conversation asks for itself is nobody's capability") {
  ChatRequest request{"hi"};
  request.response_format = ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = std::string(4000, ' ')};
  CHECK(needs_of(request).json_schema);
  const std::int64_t tokens = needs_of(request).input_tokens;
  request.response_format->by_instruction = true;
  CHECK_FALSE(needs_of(request).json_schema);
  CHECK(needs_of(request).input_tokens == tokens - 1000);  // where it stands as text it counts
}

TEST_CASE("what has failed by what it was asked may be asked for less") {
  Requirement requirement;
  const Target target{"p", "m", {.context_window = 100}};
  requirement.failed_as_asked.push_back(target);
  requirement.window_above = 200;
  Needs needs = needs_of("hi");
  needs.requirement = &requirement;
  CHECK(misfit_of(target, "hi", needs)->kind == ErrorKind::local_limit);
  needs.reduced = true;
  CHECK(misfit_of(target, "hi", needs)->kind == ErrorKind::context_window_exceeded);
  needs.shortened = true;
  CHECK_FALSE(misfit_of(target, "hi", needs));
}

TEST_CASE("a target without a needed capability is unfit, and the error says which") {
  ChatRequest request{"hello"};
  request.tools.push_back(Tool{.name = "now"});
  ModelFacts facts;
  facts.capabilities.tools = false;
  const auto error = unfit(target_with(facts), request);
  REQUIRE(error);
  CHECK(error->kind == ErrorKind::unsupported_capability);
  CHECK(error->target.name() == "local/small");
  CHECK(error->replay == ReplaySafety::not_sent);
  CHECK(error->message.find("tools") != std::string::npos);
}

TEST_CASE("a target of which nothing is known is fit for everything") {
  ChatRequest request{std::string(1'000'000, 'x')};
  request.tools.push_back(Tool{.name = "now"});
  request.messages[0].parts.emplace_back(Image{.url = "https://example.org/cat.png"});
  CHECK_FALSE(unfit(Target{"unknown", "model"}, request));
}

TEST_CASE("a window is too small only beyond reasonable doubt") {
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "plain words ";  // 2000 tokens, 12,000 characters
  CHECK(unfit(window_of(1000), ChatRequest{words}));
  CHECK_FALSE(unfit(window_of(2100), ChatRequest{words}));

  SECTION("indentation is cheap to tokenize") {
    const std::string indented = "{\n" + std::string(100'000, ' ') + "}";
    CHECK_FALSE(unfit(window_of(1000), ChatRequest{indented}));
  }
  SECTION("a character of several bytes is one character") {
    std::string russian;
    for (int i = 0; i < 1000; ++i) russian += "\u043f\u0440\u0438\u0432\u0435\u0442 ";  // 7 characters, 13 bytes
    CHECK(needs_of(ChatRequest{russian}).input_tokens > 3000);
    CHECK_FALSE(unfit(window_of(1500), ChatRequest{russian}));
    CHECK(unfit(window_of(1000), ChatRequest{russian}));
  }
  SECTION("every text that the model reads counts") {
    ChatRequest request{"hello"};
    SECTION("of a call") { request.messages.push_back(Message{Role::assistant, {ToolCall{"a", "f", words}}}); }
    SECTION("of a result") { request.messages.push_back(Message::tool_result("a", words)); }
    SECTION("of a tool") { request.tools.push_back(Tool{.name = "f", .description = words}); }
    SECTION("of a tool's schema") { request.tools.push_back(Tool{.name = "f", .parameters = words}); }
    SECTION("of the answer's schema") { request.response_format = ResponseFormat{.schema = words}; }
    CHECK(unfit(window_of(1000), request));
    CHECK_FALSE(unfit(window_of(2100), request));
  }
  SECTION("images alone never make it too small") {
    ChatRequest request{"look"};
    for (int i = 0; i < 50; ++i) request.messages[0].parts.emplace_back(Image{.url = "https://example.org/cat.png"});
    CHECK_FALSE(unfit(window_of(8000), request));
  }
}

TEST_CASE("after a window that was too small only a larger one will do") {
  Requirement requirement;
  requirement.window_above = 8000;
  const ChatRequest request{"hello"};
  Needs needs = needs_of(request);
  needs.requirement = &requirement;
  for (const std::int64_t window : {4000, 8000}) {
    CAPTURE(window);
    const auto error = unfit(window_of(window), request, needs);
    REQUIRE(error);
    CHECK(error->kind == ErrorKind::context_window_exceeded);
    CHECK(error->message == "its context window of " + std::to_string(window) +
                                " tokens is no larger than the 8000 that were too few");
  }
  CHECK_FALSE(unfit(window_of(8001), request, needs));
  CHECK_FALSE(unfit(Target{"unknown", "model"}, request, needs));
}

TEST_CASE("what has failed for good, or shares a failure domain with what failed, is not asked again") {
  ModelFacts facts;
  facts.failure_domain = "our account";
  const Target failed{"local", "failed", facts};
  Requirement requirement;
  requirement.failed.push_back(Target{"local", "wrong"});
  requirement.failed_domains.push_back({failed, ErrorKind::quota_exhausted});
  const ChatRequest request{"hello"};
  Needs needs = needs_of(request);
  needs.requirement = &requirement;

  const auto again = unfit(Target{"local", "wrong"}, request, needs);
  REQUIRE(again);
  CHECK(again->kind == ErrorKind::local_limit);
  const auto shared = unfit(target_with(facts), request, needs);
  REQUIRE(shared);
  CHECK(shared->kind == ErrorKind::local_limit);
  CHECK(shared->message ==
        "it shares the failure domain \"our account\" with local/failed, which failed with quota_exhausted");
  facts.failure_domain = "another";
  CHECK_FALSE(unfit(target_with(facts), request, needs));
  CHECK_FALSE(unfit(target_with({}), request, needs));
}

TEST_CASE("after a cap has refused, only a cheaper target with a known price will do") {
  const auto priced = [](double output) {
    ModelFacts facts;
    facts.price = Price{.input = Money{}, .output = Money::usd_per_million(output)};
    return target_with(facts);
  };
  ChatRequest request{"hello"};
  request.max_output_tokens = 1000;
  Requirement requirement;
  requirement.cheaper_than = Money::usd(0.01);  // a thousand tokens at 10 dollars a million
  Needs needs = needs_of(request);
  needs.requirement = &requirement;
  CHECK_FALSE(unfit(priced(9.99), request, needs));
  for (const Target& target : {priced(10), priced(20), target_with({})}) {
    const auto error = unfit(target, request, needs);
    REQUIRE(error);
    CHECK(error->kind == ErrorKind::budget_exceeded);
  }
  ModelFacts local;
  local.local = true;
  CHECK_FALSE(unfit(target_with(local), request, needs));
  local.price = priced(20).facts().price;
  CHECK(unfit(target_with(local), request, needs));

  SECTION("without an output limit the least answer counts, 256 tokens") {
    request.max_output_tokens.reset();
    CHECK_FALSE(unfit(priced(39), request, needs));
    CHECK(unfit(priced(39.1), request, needs));
  }
}

}  // namespace needs_test
