#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/policies/retry.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "support/compressed.hpp"
#include "support/replayed_call.hpp"

namespace answer_mutations_test {

using namespace backstop;
using namespace backstop::testing_support;
using namespace std::chrono_literals;

/// Sound answers with a fault in them, by the hundred thousand: fields removed, doubled, retyped and reordered, in
/// every framing, coding and labelling. Whatever comes, no success lacks a word that was sent, no request is sent more
/// often than the policy says, and a failure has the provider's words.
namespace {

using Json = nlohmann::ordered_json;
using Random = std::mt19937_64;

std::size_t pick(Random& random, std::size_t count) { return random() % count; }
bool chance(Random& random, std::size_t one_in) { return pick(random, one_in) == 0; }
template <class T>
const T& one_of(Random& random, const std::vector<T>& choices) {
  return choices[pick(random, choices.size())];
}

#ifdef __OPTIMIZE__
constexpr std::uint64_t scale = 10;
#else
constexpr std::uint64_t scale = 2;
#endif
constexpr std::uint64_t answer_count = 7'000 * scale;
constexpr std::uint64_t failure_count = 3'000 * scale;

/// Every word that a reader must find begins with `@`, and is a number where it stands for text that is none.
std::set<std::string> words_in(std::string_view text) {
  std::set<std::string> words;
  for (std::size_t at = text.find('@'); at != std::string_view::npos; at = text.find('@', at + 1)) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789", at + 1), text.size());
    words.emplace(text.substr(at, end - at));
  }
  if (text.find("70017") != std::string_view::npos) words.emplace("70017");
  return words;
}

enum class Wire { chat, messages, responses, gemini, cohere, ollama };
constexpr std::size_t wire_count = 6;

/// An answer as documents in the order of sending: one that is whole, or the pieces of a stream.
struct Sent {
  Wire wire = Wire::chat;
  bool pieces = false;
  std::vector<Json> documents;
};

/// The Responses wire says everything up to three times.
void add_responses(std::vector<Sent>& answers) {
  const auto event = [](std::string_view text) { return Json::parse(text); };
  const Json reasoning = event(R"({"type":"reasoning","id":"rs","summary":[{"type":"summary_text","text":"@1"}]})");
  const Json message = event(
      R"({"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"@2 "},)"
      R"({"type":"output_text","text":70017}]})");
  const Json call =
      event(R"({"type":"function_call","id":"fc","call_id":"t","name":"f","arguments":"{\"q\":\"@4@5\"}"})");
  const Json response{{"id", "r"},
                      {"object", "response"},
                      {"status", "completed"},
                      {"error", nullptr},
                      {"output", Json::array({reasoning, message, call})},
                      {"usage", {{"input_tokens", 5}, {"output_tokens", 6}}}};
  const auto done = [](int index, const Json& item) {
    return Json{{"type", "response.output_item.done"}, {"output_index", index}, {"item", item}};
  };
  answers.push_back(
      {Wire::responses,
       true,
       {event(R"({"type":"response.created","response":{"id":"r","status":"in_progress","output":[]}})"),
        event(R"({"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","summary":[]}})"),
        event(R"({"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"@1"})"),
        done(0, reasoning),
        event(
            R"({"type":"response.output_item.added","output_index":1,"item":{"type":"message","id":"m","content":[]}})"),
        event(R"({"type":"response.output_text.delta","output_index":1,"item_id":"m","content_index":0,"delta":"@2 "})"),
        event(R"({"type":"response.output_text.delta","output_index":1,"item_id":"m","content_index":1,"delta":70017})"),
        event(R"({"type":"response.output_text.done","output_index":1,"item_id":"m","content_index":1,"text":70017})"),
        done(1, message),
        event(
            R"({"type":"response.output_item.added","output_index":2,)"
            R"("item":{"type":"function_call","id":"fc","call_id":"t","name":"f","arguments":""}})"),
        event(R"({"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"q\":\"@4"})"),
        event(R"({"type":"response.function_call_arguments.delta","output_index":2,"delta":"@5\"}"})"), done(2, call),
        Json{{"type", "response.completed"}, {"response", response}}}});
  answers.push_back({Wire::responses, false, {response}});
}

/// Each piece has the form of a whole answer, and parts are of another sort by a flag or by the member they have.
void add_gemini(std::vector<Sent>& answers) {
  const auto piece = [](std::string_view parts, std::string_view rest = "") {
    return Json::parse(
        fmt::format(R"({{"candidates":[{{"content":{{"role":"model","parts":[{}]}}{},"index":0}}],"responseId":"r",)"
                    R"("usageMetadata":{{"promptTokenCount":5,"candidatesTokenCount":6}}}})",
                    parts, rest));
  };
  const Json end = piece(R"({"text":"","thoughtSignature":"c2ln"})", R"(,"finishReason":"STOP")");
  answers.push_back(
      {Wire::gemini,
       true,
       {piece(R"({"text":"@1","thought":true})"), piece(R"({"text":"@2 "})"), piece(R"({"text":70017},{"text":" @3"})"),
        piece(R"({"functionCall":{"name":"f","args":{"q":"@4"}},"thoughtSignature":"c2ln"})"),
        piece(R"({"functionCall":{"name":"g","partialArgs":[{"jsonPath":"$.q","stringValue":"@5"}],)"
              R"("willContinue":true}})"),
        piece(R"({"functionCall":{"partialArgs":[{"jsonPath":"$.q","stringValue":"@6"}],"willContinue":true}})"),
        piece(R"({"functionCall":{}})"), end}});
  answers.push_back({Wire::gemini,
                     false,
                     {piece(R"({"text":"@1","thought":true},{"text":"@2"},{"text":70017},)"
                            R"({"functionCall":{"id":"a","name":"f","args":{"q":"@3"}}},)"
                            R"({"functionCall":{"id":"b","name":"g","args":{"q":"@4"}}})",
                            R"(,"finishReason":"STOP")")}});
}

void add_cohere(std::vector<Sent>& answers) {
  const auto event = [](std::string_view type, std::string_view rest) {
    return Json::parse(fmt::format(R"({{"type":"{}","index":0{}}})", type, rest));
  };
  const auto said = [&](std::string_view type, std::string_view message) {
    return event(type, fmt::format(R"(,"delta":{{"message":{{{}}}}})", message));
  };
  const Json end =
      event("message-end",
            R"(,"delta":{"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":5,"output_tokens":6}}})");
  answers.push_back(
      {Wire::cohere,
       true,
       {Json::parse(R"({"id":"c","type":"message-start","delta":{"message":{"role":"assistant","content":[]}}})"),
        said("content-start", R"("content":{"type":"thinking","thinking":""})"),
        said("content-delta", R"("content":{"thinking":"@1"})"), event("content-end", ""),
        said("content-start", R"("content":{"type":"text","text":""})"),
        said("content-delta", R"("content":{"text":"@2 "})"), said("content-delta", R"("content":{"text":70017})"),
        event("content-end", ""), said("tool-plan-delta", R"("tool_plan":"@3")"),
        said("tool-call-start", R"("tool_calls":{"id":"t","type":"function","function":{"name":"f","arguments":""}})"),
        said("tool-call-delta", R"("tool_calls":{"function":{"arguments":"{\"q\":\"@4"}})"),
        said("tool-call-delta", R"("tool_calls":{"function":{"arguments":"@5\"}"}})"), event("tool-call-end", ""),
        end}});
  answers.push_back(
      {Wire::cohere,
       false,
       {Json::parse(
           R"({"id":"c","message":{"role":"assistant","tool_plan":"@1","content":[{"type":"thinking","thinking":"@2"},)"
           R"({"type":"text","text":"@3"},{"type":"text","text":70017}],"tool_calls":[)"
           R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"q\":\"@4\"}"}},)"
           R"({"id":"b","type":"function","function":{"name":"g","arguments":{"q":"@5"}}}]},)"
           R"("finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":5,"output_tokens":6}}})")}});
}

/// Pieces on lines of their own; a whole answer is one piece.
void add_ollama(std::vector<Sent>& answers) {
  const auto piece = [](std::string_view message, std::string_view rest = R"("done":false)") {
    return Json::parse(fmt::format(R"({{"model":"m","message":{{"role":"assistant",{}}},{}}})", message, rest));
  };
  constexpr std::string_view end = R"("done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":6)";
  answers.push_back(
      {Wire::ollama,
       true,
       {piece(R"("content":"","thinking":"@1")"), piece(R"("content":"@2 ")"), piece(R"("content":70017)"),
        piece(R"("content":"","tool_calls":[{"function":{"index":0,"name":"f","arguments":{"q":"@3"}}},)"
              R"({"function":{"index":0,"name":"g","arguments":{"q":"@4"}}}])"),
        piece(R"("content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"q\":\"@5\"}"}}])"),
        piece(R"("content":"")", end)}});
  answers.push_back(
      {Wire::ollama,
       false,
       {piece(R"("content":"@1","thinking":"@2","tool_calls":[{"function":{"name":"f","arguments":{"q":"@3"}}}])",
              end)}});
}

std::vector<Sent> sound_answers() {
  const auto chunk = [](std::string_view delta, std::string_view rest = "") {
    return Json::parse(fmt::format(
        R"({{"id":"c","model":"m","choices":[{{"index":0,"delta":{{{}}},"finish_reason":null{}}}]}})", delta, rest));
  };
  const Json finish = Json::parse(R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
  const Json usage = Json::parse(R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}})");
  std::vector<Sent> answers;
  answers.push_back({Wire::chat,
                     true,
                     {chunk(R"("role":"assistant","content":"")"), chunk(R"("content":"@1 ")"),
                      chunk(R"("content":70017)"), chunk(R"("content":" @2")"), finish, usage}});
  answers.push_back(
      {Wire::chat,
       true,
       {chunk(R"("reasoning_content":"@1")"), chunk(R"("content":["@2",{"type":"text","text":"@3"}])"),
        chunk(R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}])"),
        chunk(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"q\":\"@4"}}])"),
        chunk(R"("tool_calls":[{"index":0,"function":{"arguments":"@5\"}"}}])"),
        chunk(R"("tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"q\":\"@6\"}"}}])"), finish}});
  answers.push_back(
      {Wire::chat,
       false,
       {Json::parse(
           R"({"id":"c","choices":[{"index":0,"message":{"role":"assistant",)"
            R"("reasoning":"@1","content":"@2","tool_calls":[)"
           R"({"id":"a","type":"function","function":{"name":"f","arguments":"{\"q\":\"@3\"}"}},)"
           R"({"id":"b","type":"function","function":{"name":"g","arguments":{"q":"@4"}}}]},)"
            R"("finish_reason":"tool_calls"}],)"
           R"("usage":{"prompt_tokens":5,"completion_tokens":6}})")}});
  answers.push_back(
      {Wire::chat,
       false,
       {Json::parse(R"({"choices":[{"message":{"content":[{"type":"text","text":"@1"},70017,"@2"]}}]})")}});
  const auto event = [](std::string_view text) { return Json::parse(text); };
  answers.push_back(
      {Wire::messages,
       true,
       {event(R"({"type":"message_start","message":{"id":"m","usage":{"input_tokens":5}}})"),
        event(R"({"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}})"),
        event(R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"@1"}})"),
        event(R"({"type":"content_block_stop","index":0})"),
        event(R"({"type":"content_block_start","index":1,"content_block":{"type":"text","text":"@2"}})"),
        event(R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"@3 "}})"),
        event(R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":70017}})"),
        event(R"({"type":"content_block_stop","index":1})"),
        event(
            R"({"type":"content_block_start","index":2,)"
             R"("content_block":{"type":"tool_use","id":"t","name":"f","input":{}}})"),
        event(
            R"({"type":"content_block_delta","index":2,)"
             R"("delta":{"type":"input_json_delta","partial_json":"{\"q\":\"@4"}})"),
        event(R"({"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"@5\"}"}})"),
        event(R"({"type":"content_block_stop","index":2})"),
        event(R"({"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":6}})"),
        event(R"({"type":"message_stop"})")}});
  answers.push_back(
      {Wire::messages,
       false,
       {event(
           R"({"type":"message","id":"m","content":[{"type":"thinking","thinking":"@1"},{"type":"text","text":"@2"},)"
           R"({"type":"tool_use","id":"t","name":"f","input":{"q":"@3"}}],)"
            R"("stop_reason":"end_turn","usage":{"input_tokens":5}})")}});
  add_responses(answers);
  add_gemini(answers);
  add_cohere(answers);
  add_ollama(answers);
  return answers;
}

/// A value somewhere in a document.
struct Place {
  Json* parent;
  std::size_t at;  ///< which of its members
};

void collect(Json& value, std::vector<Place>& places) {
  if (!value.is_structured()) return;
  std::size_t at = 0;
  for (Json& child : value) {
    places.push_back({&value, at++});
    collect(child, places);
  }
}

/// The same value as another type. A text stays in it where that can be.
Json retyped(const Json& value, Random& random) {
  switch (pick(random, 7)) {
    case 0:
      return Json::array({value});
    // An object under another name would be as good as removed.
    case 1:
      return value.is_object() ? Json::array({value}) : Json::object({{"x", value}});
    case 2:
      return value.is_string() ? Json(7) : Json(value.dump());
    case 3:
      return nullptr;
    case 4:
      return true;
    case 5:
      return value.is_number() ? Json("x") : Json(0);
    default:
      return "";
  }
}

/// What is wrong with one answer, and how it comes.
struct Case {
  Sent sent;
  std::vector<std::string> doubled;  ///< keys that are written twice
  bool swapped = false;
  bool retyped = false;
};

void mutate(Case& one, Random& random) {
  std::vector<Json>& documents = one.sent.documents;
  if (documents.size() > 1 && chance(random, 3)) {
    const std::size_t at = pick(random, documents.size());
    const std::size_t other = pick(random, documents.size());
    switch (pick(random, 3)) {
      case 0:
        documents.erase(documents.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 1:
        documents.insert(documents.begin() + static_cast<std::ptrdiff_t>(at), Json(documents[other]));
        break;
      default:
        std::swap(documents[at], documents[other]);
        break;
    }
    one.swapped = true;
    return;
  }
  std::vector<Place> places;
  for (Json& document : documents) collect(document, places);
  if (places.empty()) return;
  const Place place = one_of(random, places);
  const bool in_object = place.parent->is_object();
  const auto member = std::next(place.parent->begin(), static_cast<std::ptrdiff_t>(place.at));
  const std::string key = in_object ? member.key() : "";
  switch (pick(random, 4)) {
    case 0:
      place.parent->erase(member);
      break;
    case 1:
      if (in_object) {
        one.doubled.push_back(key);
      } else {
        place.parent->insert(member, Json(*member));
      }
      break;
    case 2:
      // Another number for a choice makes it another choice, which is not asked for; what is retyped twice may end as
      // an object under another name or as something of another type, which is passed over.
      if (key != "index" && !std::exchange(one.retyped, true)) *member = retyped(*member, random);
      break;
    default: {
      std::vector<std::pair<std::string, Json>> members;
      if (!in_object) break;
      for (const auto& [name, value] : place.parent->items()) members.emplace_back(name, value);
      std::shuffle(members.begin(), members.end(), random);
      *place.parent = Json::object();
      for (auto& [name, value] : members) (*place.parent)[name] = std::move(value);
    }
  }
}

/// JSON with members of these names written twice.
std::string written(const Json& value, const std::vector<std::string>& doubled) {
  if (doubled.empty() || !value.is_structured()) return value.dump();
  std::string text{value.is_object() ? "{" : "["};
  const auto add = [&](std::string_view member) {
    if (text.size() > 1) text += ',';
    text.append(member);
  };
  if (value.is_array()) {
    for (const Json& child : value) add(written(child, doubled));
    return text + "]";
  }
  for (const auto& [name, child] : value.items()) {
    const std::string member = Json(name).dump() + ":" + written(child, doubled);
    add(member);
    if (std::find(doubled.begin(), doubled.end(), name) != doubled.end()) add(member);
  }
  return text + "}";
}

std::string type_of(const Json& document) {
  const auto type = document.find("type");
  return document.is_object() && type != document.end() && type->is_string() ? type->get<std::string>() : std::string{};
}

/// Nothing of an answer follows this.
bool ends_stream(const Sent& sent, const Json& document) {
  if (!sent.pieces || !document.is_object()) return false;
  const std::string type = type_of(document);
  if (sent.wire == Wire::ollama) return document.value("done", Json()) == true;
  return type == "message_stop" || type == "response.completed" || type == "message-end";
}

/// The answer's body, and the words that a reader must find in it.
struct Body {
  std::string text;
  std::set<std::string> words;
};

Body framed(const Case& one, Random& random) {
  Body body;
  const bool named = !chance(random, 4);  // where there is a type
  const bool lines = chance(random, 4);  // JSON documents, one after the other
  const std::string end_of_line = chance(random, 5) ? "\r\n" : "\n";
  const std::string space = chance(random, 5) ? "" : " ";
  if (chance(random, 8)) body.text = "\xEF\xBB\xBF";
  if (chance(random, 8)) body.text += "\n\n  ";
  bool ended = false;
  for (const Json& document : one.sent.documents) {
    const std::string text = written(document, one.doubled);
    const std::string type = type_of(document);
    if (lines || !one.sent.pieces) {
      const bool as_event = !one.sent.pieces && !lines && chance(random, 3);
      body.text += as_event ? "data:" + space + text + end_of_line + end_of_line : text + end_of_line;
    } else {
      if (named && !type.empty()) body.text += "event:" + space + type + end_of_line;
      if (chance(random, 6)) body.text += ": ping" + end_of_line;
      body.text += "data:" + space + text + end_of_line + end_of_line;
    }
    if (!ended) body.words.merge(words_in(text));
    ended = ended || ends_stream(one.sent, document);
  }
  if (!lines && one.sent.pieces && one.sent.wire == Wire::chat && !chance(random, 4))
    body.text += "data: [DONE]" + end_of_line + end_of_line;
  return body;
}

const std::vector<std::string> types{"application/json", "text/event-stream", "text/html", "application/x-ndjson", ""};
const std::vector<std::string> labels{"", "gzip", "deflate", "utf-8", "none", "identity", "br"};

ReplayedAnswer sent_as(std::string body, int status, Random& random) {
  ReplayedAnswer answer;
  answer.status = status;
  answer.headers = {{"content-type", one_of(random, types)}};
  const std::size_t coding = pick(random, 12);
  if (coding == 1) body = compressed(body, chance(random, 8) ? Coding::raw_deflate : Coding::zlib);
  if (coding == 2) body = compressed(body, Coding::gzip);
  // Without its label deflate cannot be told from any other bytes.
  const std::string label = coding == 1 ? "deflate" : one_of(random, labels);
  if (!label.empty()) answer.headers.emplace_back("content-encoding", label);
  answer.body = std::move(body);
  if (chance(random, 3)) {
    for (std::size_t at = 1 + pick(random, 40); at < answer.body.size(); at += 1 + pick(random, 40))
      answer.splits.push_back(at);
  }
  return answer;
}

const ModelOptions options{.model = "m", .api_key = "test-key", .base_url = "http://replayed.test/v1"};

/// The policy that a case is called under, and how many sends it allows.
ReplayedCall called(Wire wire, const ReplayedAnswer& answer, Random& random, std::size_t& sends) {
  static const std::vector<Provider> once{openai(options), anthropic(options), openai_responses(options),
                                          gemini(options), cohere(options),    ollama_native(options)};
  static const std::vector<Provider> twice = [] {
    std::vector<Provider> providers;
    for (const Provider& provider : once) providers.push_back(provider | retry({.max_attempts = 2}));
    return providers;
  }();
  sends = chance(random, 4) ? 2 : 1;
  const Provider& provider = (sends == 2 ? twice : once)[static_cast<std::size_t>(wire)];
  return call_with(provider, "Hi", answer, chance(random, 2));
}

std::string all_words(const ChatResponse& answer) {
  std::string all = answer.text() + " " + answer.reasoning();
  for (const ToolCall& call : answer.tool_calls()) all += " " + call.name + call.arguments;
  return all;
}

std::set<std::string> lacking(const std::set<std::string>& words, std::string_view text) {
  std::set<std::string> missing;
  for (const std::string& word : words) {
    if (text.find(word) == std::string_view::npos) missing.insert(word);
  }
  return missing;
}

// What is wrong with the call, however it ended; nothing while nothing is.
std::string_view common_fault(const ReplayedCall& call, std::size_t sends) {
  if (call.requests.empty()) return "nothing was sent";
  if (call.requests.size() > sends) return "more was sent than the policy says";
  if (!call.left_nothing) return "something was left behind";
  return call.elapsed < 60s ? "" : "it took too long";
}

}  // namespace

TEST_CASE("no answer with a fault in it is a success that lacks a word") {
  const std::vector<Sent> answers = sound_answers();
  std::size_t successes = 0;
  for (std::uint64_t seed = 1; seed <= answer_count; ++seed) {
    Random random{seed};
    Case one{one_of(random, answers), {}};
    const bool sound = chance(random, 10);
    if (!sound) mutate(one, random);
    if (!sound && chance(random, 4)) mutate(one, random);
    const Body body = framed(one, random);
    ReplayedAnswer answer = sent_as(body.text, 200, random);
    const bool cut = !sound && chance(random, 6);
    if (cut) answer.body.resize(pick(random, answer.body.size() + 1));
    std::erase_if(answer.splits, [&](std::size_t at) { return at >= answer.body.size(); });
    answer.cut = cut;
    answer.stays_open = !sound && chance(random, 12);
    std::size_t sends = 0;
    const ReplayedCall call = called(one.sent.wire, answer, random, sends);
    if (answer.stays_open && !call.result) continue;  // waits for its limits
    std::string fault{common_fault(call, sends)};
    if (sound && !call.result) fault = "failed: " + to_string(call.result.error());
    if (call.result) {
      ++successes;
      // What came later may have been cut off where the order is another.
      const std::set<std::string> missing = lacking(body.words, all_words(*call.result));
      if (!missing.empty() && !(cut && one.swapped))
        fault = "lacks " + *missing.begin() + " in " + all_words(*call.result);
    }
    if (!fault.empty()) FAIL_CHECK("seed " << seed << (cut ? ", cut: " : ": ") << fault << "\n" << body.text);
  }
  CHECK(successes > answer_count / 3);
}

TEST_CASE("no failure lacks the provider's words, in whatever shape they come") {
  const std::vector<Json> shapes{
      Json::parse(R"({"error":{"message":"@1","type":"invalid_request_error","param":null,"code":"x"}})"),
      Json::parse(R"({"error":"@1"})"),
      Json::parse(R"({"type":"error","error":{"type":"overloaded_error","message":"@1"},"request_id":"r"})"),
      Json::parse(R"({"object":"error","message":"@1","type":"BadRequestError","code":400})"),
      Json::parse(R"([{"error":{"code":429,"message":"@1","status":"RESOURCE_EXHAUSTED"}}])"),
      Json::parse(R"({"detail":[{"loc":["body"],"msg":"@1","type":"missing"}]})"),
      Json::parse(R"({"errors":[{"code":7,"message":"@1"}],"success":false})"),
      Json::parse(R"({"code":1,"msg":"@1","success":false})"),
      Json::parse(R"({"base_resp":{"status_code":1002,"status_msg":"@1"},"choices":null})"),
      Json::parse(R"({"message":"@1"})"),
      Json("@1"),
  };
  const std::vector<int> statuses{400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529};
  for (std::uint64_t seed = 1; seed <= failure_count; ++seed) {
    Random random{seed};
    const auto wire = static_cast<Wire>(pick(random, wire_count));
    Case one{{wire, false, {one_of(random, shapes)}}, {}};
    const bool in_answer = chance(random, 3);
    // An answer that fails must say so by something; a refusal does by its status.
    if (!in_answer && !chance(random, 4)) mutate(one, random);
    const Body body = framed(one, random);
    const std::string text = chance(random, 20) ? "<p>@1</p>" : body.text;
    ReplayedAnswer answer = sent_as(text, in_answer ? 200 : one_of(random, statuses), random);
    answer.stays_open = chance(random, 8);
    std::size_t sends = 0;
    const ReplayedCall call = called(one.sent.wire, answer, random, sends);
    if (in_answer && answer.stays_open) continue;
    std::string fault{common_fault(call, sends)};
    if (call.result) {
      fault = "is a success";
    } else {
      const Error& error = call.result.error();
      const bool said = words_in(text).contains("@1");
      if (said && error.provider_message.find("@1") == std::string::npos)
        fault = "lacks the words: " + to_string(error);
      if (error.http_status != answer.status) fault = "has another status";
    }
    if (!fault.empty()) FAIL_CHECK("seed " << seed << ", " << answer.status << ": " << fault << "\n" << text);
  }
}

}  // namespace answer_mutations_test
