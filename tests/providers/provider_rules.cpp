#include "provider_rules.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace backstop::testing_support {
namespace {

using Json = nlohmann::json;

bool is_made_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

bool is_object_text(const Json& arguments) {
  return arguments.is_string() && Json::parse(arguments.get<std::string>(), nullptr, false).is_object();
}

/// Follows calls and their results through a conversation.
class Calls {
 public:
  explicit Calls(Broken& broken) : broken_{broken} {}

  void call(const std::string& id, const std::string& name) {
    if (id.empty()) broken_.push_back("a call without an id");
    if (!names_.emplace(id, name).second) broken_.push_back("two calls have the id " + id);
    if (name.empty() || name.size() > 64 || !is_made_of(name, "_-")) broken_.push_back("a tool is called " + name);
    open_.insert(id);
  }
  void result(const std::string& id) {
    if (open_.erase(id) == 0) broken_.push_back("a result without a call just before it, or a second one: " + id);
  }
  /// Something that no result of an open call may follow.
  void other(std::string_view what) {
    if (!open_.empty()) broken_.push_back("a call is not answered before " + std::string{what});
    open_.clear();
  }
  [[nodiscard]] std::size_t open() const { return open_.size(); }
  [[nodiscard]] std::string name_of(const std::string& id) const {
    const auto found = names_.find(id);
    return found == names_.end() ? std::string{} : found->second;
  }

 private:
  Broken& broken_;
  std::map<std::string, std::string> names_;
  std::set<std::string> open_;
};

/// Calls that stand in the message of an assistant, and results in messages of their own.
void check_tool_messages(const Json& messages, std::size_t longest_id, bool arguments_as_text, Broken& broken) {
  Calls calls{broken};
  for (const Json& message : messages) {
    const std::string role = message["role"];
    if (role == "tool") {
      calls.result(message["tool_call_id"]);
      if (!message["content"].is_string()) broken.push_back("a result that is no text");
      continue;
    }
    calls.other(role);
    if (role != "assistant") continue;
    const bool has_calls = message.contains("tool_calls");
    if (has_calls && message["tool_calls"].empty()) broken.push_back("an empty list of calls");
    if (!has_calls && (!message.contains("content") || message["content"].is_null() || message["content"].empty() ||
                       message["content"] == "")) {
      broken.push_back("a turn that says nothing");
    }
    for (const Json& call : message.value("tool_calls", Json::array())) {
      const std::string id = call["id"];
      if (id.size() > longest_id) broken.push_back("an id of " + std::to_string(id.size()) + " characters");
      calls.call(id, call["function"]["name"]);
      const Json& arguments = call["function"]["arguments"];
      if (arguments_as_text ? !is_object_text(arguments) : !arguments.is_object()) {
        broken.push_back("arguments that are no object: " + arguments.dump());
      }
    }
  }
  calls.other("the end");
}

/// No turn follows one of the same role, the first and the last are the user's.
void check_alternation(const Json& turns, const char* model, Broken& broken) {
  std::string last;
  for (const Json& turn : turns) {
    const std::string role = turn["role"];
    if (role != "user" && role != model) broken.push_back("the role " + role);
    if (role == last) broken.push_back("two turns of the " + role + " in a row");
    if (last.empty() && role != "user") broken.push_back("the first turn is the model's");
    last = role;
  }
  if (last != "user") broken.push_back("the last turn is the model's");
}

}  // namespace

Broken broken_in_chat(const Json& body) {
  Broken broken;
  check_tool_messages(body["messages"], 40, true, broken);
  for (const Json& message : body["messages"]) {
    if (message["content"].is_array() && message["content"].empty()) broken.push_back("content that is an empty list");
  }
  return broken;
}

Broken broken_in_responses(const Json& body) {
  Broken broken;
  Calls calls{broken};
  if (body.value("store", true)) broken.push_back("the conversation is kept at the server");
  bool thought = false;
  for (const Json& item : body["input"]) {
    const std::string type = item.value("type", "message");
    if (type == "function_call_output") {
      calls.result(item["call_id"]);
      if (thought) broken.push_back("reasoning without the item that it led to");
      continue;
    }
    const bool of_model = type != "message" || item["role"] == "assistant";
    if (thought && !of_model) broken.push_back("reasoning without the item that it led to");
    if (type != "function_call") calls.other(type);
    if (type == "function_call") {
      const std::string id = item["call_id"];
      if (id.size() > 64 || !is_made_of(id, "_-")) broken.push_back("the id " + id);
      if (item.contains("id")) broken.push_back("a call with an id of its item");
      if (!is_object_text(item["arguments"])) broken.push_back("arguments that are no object");
      calls.call(id, item["name"]);
    }
    if (type == "reasoning" && item.value("encrypted_content", "").empty()) broken.push_back("reasoning without proof");
    thought = type == "reasoning";
  }
  if (thought) broken.push_back("reasoning without the item that it led to");
  calls.other("the end");
  return broken;
}

Broken broken_in_messages(const Json& body) {
  Broken broken;
  Calls calls{broken};
  check_alternation(body["messages"], "assistant", broken);
  if (body.contains("system") && body["system"].empty()) broken.push_back("an empty system text");
  for (const Json& message : body["messages"]) {
    if (message["content"].is_string()) {
      calls.other("a text");
      if (is_blank(message["content"].get<std::string>())) broken.push_back("a blank turn");
      continue;
    }
    if (message["content"].empty()) broken.push_back("an empty turn");
    for (const Json& block : message["content"]) {
      const std::string type = block["type"];
      if (type == "tool_result") {
        calls.result(block["tool_use_id"]);
        continue;
      }
      if (message["role"] == "user") calls.other(type);
      if (type == "text" && is_blank(block["text"].get<std::string>())) broken.push_back("a blank text");
      if (type == "thinking" && block.value("signature", "").empty()) broken.push_back("thinking without a signature");
      if (type != "tool_use") continue;
      const std::string id = block["id"];
      if (!is_made_of(id, "_-")) broken.push_back("the id " + id);
      if (!block["input"].is_object()) broken.push_back("arguments that are no object");
      calls.call(id, block["name"]);
    }
  }
  calls.other("the end");
  return broken;
}

Broken broken_in_converse(const Json& body) {
  Broken broken;
  Calls calls{broken};
  check_alternation(body["messages"], "assistant", broken);
  for (const Json& block : body.value("system", Json::array())) {
    if (is_blank(block.value("text", ""))) broken.push_back("a blank system text");
  }
  for (const Json& message : body["messages"]) {
    if (!message["content"].is_array() || message["content"].empty()) broken.push_back("an empty turn");
    for (const Json& block : message["content"]) {
      if (block.contains("toolResult")) {
        calls.result(block["toolResult"]["toolUseId"]);
        continue;
      }
      if (message["role"] == "user") calls.other("a block");
      if (block.contains("text") && is_blank(block["text"].get<std::string>())) broken.push_back("a blank text");
      if (block.contains("reasoningContent") &&
          block["reasoningContent"]["reasoningText"].value("signature", "").empty()) {
        broken.push_back("reasoning without a signature");
      }
      if (!block.contains("toolUse")) continue;
      const std::string id = block["toolUse"]["toolUseId"];
      if (id.size() > 64 || !is_made_of(id, "_.:-")) broken.push_back("the id " + id);
      if (!block["toolUse"]["input"].is_object()) broken.push_back("arguments that are no object");
      if (!body.contains("toolConfig")) broken.push_back("a call without tools");
      calls.call(id, block["toolUse"]["name"]);
    }
  }
  calls.other("the end");
  return broken;
}

Broken broken_in_gemini(const Json& body) {
  Broken broken;
  Calls calls{broken};
  check_alternation(body["contents"], "model", broken);
  std::size_t open = 0;
  for (const Json& turn : body["contents"]) {
    if (turn["parts"].empty()) broken.push_back("a turn without parts");
    const bool model = turn["role"] == "model";
    std::size_t results = 0;
    bool first_call = true;
    for (const Json& part : turn["parts"]) {
      const bool proof = part.contains("thoughtSignature");
      if (part.contains("text") && is_blank(part["text"].get<std::string>()) && !proof)
        broken.push_back("a blank text");
      if (part.contains("functionCall")) {
        const Json& call = part["functionCall"];
        if (!model) broken.push_back("a call by the user");
        if (!call["args"].is_object()) broken.push_back("arguments that are no object");
        if (first_call && !proof) broken.push_back("the first call of a turn lacks its signature");
        if (!first_call && proof) broken.push_back("a later call of a turn has a signature");
        first_call = false;
        calls.call(call["id"], call["name"]);
      }
      if (part.contains("functionResponse")) {
        const Json& result = part["functionResponse"];
        ++results;
        if (!result["response"].is_object()) broken.push_back("a result that is no object");
        if (result["name"] != calls.name_of(result["id"])) broken.push_back("a result of another tool");
        calls.result(result["id"]);
      }
    }
    if (!model && results != open) broken.push_back("another number of results than of calls in the turn before");
    open = calls.open();
  }
  calls.other("the end");
  return broken;
}

Broken broken_in_cohere(const Json& body) {
  Broken broken;
  check_tool_messages(body["messages"], 1024, true, broken);
  for (const Json& message : body["messages"]) {
    const Json content = message.value("content", Json());
    if (content.is_array() && content.empty()) broken.push_back("content that is an empty list");
    for (const Json& part : content.is_array() ? content : Json::array()) {
      const std::string type = part["type"];
      const bool known =
          type == "text" || type == "image_url" || (type == "thinking" && message["role"] == "assistant");
      if (!known)
        broken.push_back("a part of the type " + type + " in a message of the " + message["role"].get<std::string>());
    }
  }
  for (const Json& document : body.value("documents", Json::array())) {
    if (!document["data"]["text"].is_string()) broken.push_back("a document that is no text");
  }
  return broken;
}

Broken broken_in_ollama(const Json& body) {
  Broken broken;
  check_tool_messages(body["messages"], 1024, false, broken);
  std::map<std::string, std::string> names;
  for (const Json& message : body["messages"]) {
    if (!message["content"].is_string()) broken.push_back("content that is no text");
    for (const Json& image : message.value("images", Json::array())) {
      if (!image.is_string() || image.get<std::string>().find(':') != std::string::npos) {
        broken.push_back("an image that is no base64");
      }
    }
    for (const Json& call : message.value("tool_calls", Json::array())) names[call["id"]] = call["function"]["name"];
    if (message["role"] == "tool" && message.value("tool_name", "") != names[message["tool_call_id"]]) {
      broken.push_back("a result without the name of its tool");
    }
  }
  return broken;
}

}  // namespace backstop::testing_support
