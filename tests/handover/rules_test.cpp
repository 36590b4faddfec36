#include "handover/rules.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "handover/projection.hpp"

namespace rules_test {

using namespace backstop;

namespace {

/// What a provider is known to take and to refuse, said by examples and not by the rule that is tested.
struct Example {
  std::string_view provider;
  std::vector<std::string> good_ids;
  std::vector<std::string> bad_ids;
  bool takes_unsigned;  ///< reasoning of the same model without a proof of its origin
  bool takes_siblings;  ///< reasoning of another model of this provider
  bool refuses_blank;
  std::size_t longest_name;
};

std::string letters(std::size_t count) { return std::string(count, 'a'); }

/// Whoever takes any id up to a size.
Example with_any_id(std::string_view provider, std::size_t longest, bool siblings, bool blank = false) {
  return {provider, {"a", "functions.now:0", "a b/\xC3\xA9", letters(longest)}, {"", letters(longest + 1)}, true,
          siblings, blank, 64};
}

std::vector<Example> examples() {
  return {
      {"anthropic", {"toolu_01", "a-b", letters(1024)}, {"", "a.b", "a:b", letters(1025)}, false, false, true, 128},
      {"bedrock_anthropic", {"toolu_01", "a-b", letters(64)}, {"", "a.b", letters(65)}, false, false, true, 64},
      {"vertex_anthropic", {"toolu_01", "a-b", letters(64)}, {"", "a.b", letters(65)}, false, false, true, 128},
      {"bedrock", {"tooluse_1", "a.b:c-d", letters(64)}, {"", "a/b", letters(65)}, false, false, true, 64},
      {"bedrock_mistral", {"abc123XYZ"}, {"", "abc123XY", "abc_123XY", "call_0"}, false, false, true, 64},
      {"openai_responses", {"call_1", "a-b", letters(64)}, {"", "a.b", letters(65)}, false, false, false, 64},
      with_any_id("gemini", 1024, true, true),
      {"mistral",
       {"abc123XYZ"},
       {"", "abc123XY", "abc123XYZ0", "abc_123XY", "abc-123XY", "call_0"},
       true,
       true,
       false,
       64},
      with_any_id("groq", 1024, true),
      with_any_id("cerebras", 1024, true),
      with_any_id("cohere", 1024, false),
      with_any_id("ollama", 1024, false),
      with_any_id("openai", 40, false),
      with_any_id("my-server", 40, false),
      with_any_id("", 40, false),
  };
}

ChatRequest history(Part part) {
  ChatRequest request{"Why?"};
  request.messages.push_back(Message{Role::assistant, {std::move(part), Text{"So."}}});
  request.messages.push_back(Message::user("Really?"));
  return request;
}

ChatRequest with_call(std::string id, std::string tool) {
  ChatRequest request{"What time is it?"};
  request.messages.push_back(Message{Role::assistant, {ToolCall{id, std::move(tool), "{}"}}});
  request.messages.push_back(Message::tool_result(id, "12:00"));
  return request;
}

}  // namespace

TEST_CASE("each provider keeps the tool-call ids that it takes, and gets others for those that it refuses") {
  for (const Example& example : examples()) {
    const Target target{example.provider, "m"};
    for (const std::string& id : example.good_ids) {
      CAPTURE(example.provider, id);
      CHECK(handover_rules(example.provider).tool_ids.accepts(id));
      CHECK_FALSE(project(with_call(id, "now"), target).changed());
    }
    for (const std::string& id : example.bad_ids) {
      CAPTURE(example.provider, id);
      CHECK_FALSE(handover_rules(example.provider).tool_ids.accepts(id));
      CHECK(project(with_call(id, "now"), target).renamed_ids().size() == 1);
    }
  }
}

TEST_CASE("each provider gets back the reasoning that it takes, and no other") {
  for (const Example& example : examples()) {
    if (example.provider.empty()) continue;
    CAPTURE(example.provider);
    const Target target{example.provider, "m"};
    const auto kept = [&](const Reasoning& reasoning) { return !project(history(reasoning), target).changed(); };
    CHECK(kept(Reasoning{"Hm.", "sig", "", target}));
    CHECK(kept(Reasoning{"", "", "encrypted", target}));
    CHECK(kept(Reasoning{"Hm.", "", "", target}) == example.takes_unsigned);
    CHECK(kept(Reasoning{"Hm.", "sig", "", Target{example.provider, "other"}}) == example.takes_siblings);
    CHECK_FALSE(kept(Reasoning{"Hm.", "sig", "", Target{"elsewhere", "m"}}));
    CHECK_FALSE(kept(Reasoning{"Hm.", "sig", "", {}}));
  }
}

TEST_CASE("blank text stays away from the providers that refuse it") {
  for (const Example& example : examples()) {
    CAPTURE(example.provider);
    const Projection projection = project(history(Text{" \n"}), Target{example.provider, "m"});
    CHECK(projection.losses().blank_texts_dropped == (example.refuses_blank ? 1 : 0));
  }
}

TEST_CASE("names of tools may be as long as the provider takes them, of letters, digits, hyphens and underscores") {
  for (const Example& example : examples()) {
    const Target target{example.provider, "m"};
    for (const std::string& name : {std::string{"get-time"}, std::string{"get_Time9"}, letters(example.longest_name)}) {
      CAPTURE(example.provider, name);
      CHECK_FALSE(project(with_call("abc123XYZ", name), target).changed());
    }
    for (const std::string& name : {std::string{"get.time"}, std::string{}, letters(example.longest_name + 1)}) {
      CAPTURE(example.provider, name);
      CHECK(project(with_call("abc123XYZ", name), target).renamed_tools().size() == 1);
    }
  }
}

}  // namespace rules_test
