#include "fault_wire.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "fault_pieces.hpp"
#include "fault_wires.hpp"

namespace backstop::faults {
namespace {

using Role = StreamPart::Role;

// The OpenAI wire: events are data lines only, and `[DONE]` ends the stream.

Json openai_usage(const Answer& answer) {
  const auto output = output_tokens(answer);
  return {{"prompt_tokens", answer.usage.input},
          {"completion_tokens", output},
          {"total_tokens", answer.usage.input + output},
          {"prompt_tokens_details", {{"cached_tokens", answer.usage.cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning_tokens(answer)}}}};
}

Json openai_call(const Answer::Call& call, const std::string& arguments) {
  return {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", arguments}}}};
}

std::string openai_plain(const Answer& answer, std::string_view asked) {
  Json message = {{"role", "assistant"}, {"content", answer.text}};
  if (answer.text.empty() && !answer.calls.empty()) message["content"] = nullptr;
  if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
  for (const auto& call : answer.calls) message["tool_calls"].push_back(openai_call(call, call.arguments));
  Json choice = {
      {"index", 0}, {"message", std::move(message)}, {"finish_reason", finish_of(answer, "stop", "tool_calls")}};
  return Json{{"id", "chatcmpl-fault"},
              {"object", "chat.completion"},
              {"created", 1750000000},
              {"model", model_of(answer, asked)},
              {"choices", Json::array({std::move(choice)})},
              {"usage", openai_usage(answer)}}
      .dump();
}

class OpenAiStream {
 public:
  OpenAiStream(const Answer& answer, std::string_view asked) : answer_{answer}, model_{model_of(answer, asked)} {}

  std::vector<StreamPart> parts(bool include_usage) {
    add({{"role", "assistant"}, {"content", ""}}, Role::frame);
    for (auto& piece : pieces_of(answer_.reasoning, answer_.tokens_per_event)) {
      add({{"reasoning_content", std::move(piece)}}, Role::content);
    }
    for (auto& piece : pieces_of(answer_.text, answer_.tokens_per_event)) {
      add({{"content", std::move(piece)}}, Role::content);
    }
    for (std::size_t index = 0; index < answer_.calls.size(); ++index) add_call(index);
    add(Json::object(), Role::closing, finish_of(answer_, "stop", "tool_calls"));
    if (include_usage) {
      auto last = chunk(Json::array());
      last["usage"] = openai_usage(answer_);
      parts_.push_back({data_event(last), Role::closing});
    }
    parts_.push_back({"data: [DONE]\n\n", Role::closing});
    return std::move(parts_);
  }

 private:
  Json chunk(Json choices) const {
    return {{"id", "chatcmpl-fault"},
            {"object", "chat.completion.chunk"},
            {"created", 1750000000},
            {"model", model_},
            {"choices", std::move(choices)}};
  }

  void add(Json delta, Role role, const Json& finish = nullptr) {
    Json choice = {{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", finish}};
    parts_.push_back({data_event(chunk(Json::array({std::move(choice)}))), role});
  }

  void add_call(std::size_t index) {
    auto first = openai_call(answer_.calls[index], "");
    first["index"] = index;
    add({{"tool_calls", Json::array({std::move(first)})}}, Role::content);
    for (const auto& half : halves_of(answer_.calls[index].arguments)) {
      Json next = {{"index", index}, {"function", {{"arguments", half}}}};
      add({{"tool_calls", Json::array({std::move(next)})}}, Role::content);
    }
  }

  const Answer& answer_;
  std::string model_;
  std::vector<StreamPart> parts_;
};

// The Anthropic wire: named events around content blocks, and `message_stop` ends the stream.

Json anthropic_usage(const Answer& answer, std::int64_t output) {
  return {{"input_tokens", answer.usage.input - answer.usage.cached},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", answer.usage.cached},
          {"output_tokens", output}};
}

Json anthropic_message(const Answer& answer, std::string_view asked, std::int64_t output) {
  return {{"id", "msg_fault"},        {"type", "message"},
          {"role", "assistant"},      {"model", model_of(answer, asked)},
          {"content", Json::array()}, {"stop_reason", nullptr},
          {"stop_sequence", nullptr}, {"usage", anthropic_usage(answer, output)}};
}

std::string anthropic_plain(const Answer& answer, std::string_view asked) {
  auto message = anthropic_message(answer, asked, output_tokens(answer));
  auto& content = message["content"];
  if (!answer.reasoning.empty()) {
    content.push_back({{"type", "thinking"}, {"thinking", answer.reasoning}, {"signature", "fault-signature"}});
  }
  if (!answer.text.empty()) content.push_back({{"type", "text"}, {"text", answer.text}});
  for (const auto& call : answer.calls) {
    content.push_back({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", arguments_json(call)}});
  }
  message["stop_reason"] = finish_of(answer, "end_turn", "tool_use");
  return message.dump();
}

class AnthropicStream {
 public:
  AnthropicStream(const Answer& answer, std::string_view asked) : answer_{answer}, asked_{asked} {}

  std::vector<StreamPart> parts() {
    add({{"type", "message_start"}, {"message", anthropic_message(answer_, asked_, 1)}}, Role::frame);
    parts_.push_back({ping_event(Wire::anthropic), Role::frame});
    if (!answer_.reasoning.empty()) add_reasoning();
    if (!answer_.text.empty()) add_text();
    for (const auto& call : answer_.calls) add_call(call);
    Json delta = {{"stop_reason", finish_of(answer_, "end_turn", "tool_use")}, {"stop_sequence", nullptr}};
    add({{"type", "message_delta"},
         {"delta", std::move(delta)},
         {"usage", {{"output_tokens", output_tokens(answer_)}}}},
        Role::closing);
    add({{"type", "message_stop"}}, Role::closing);
    return std::move(parts_);
  }

 private:
  void add_reasoning() {
    open({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
    for (auto& piece : pieces_of(answer_.reasoning, answer_.tokens_per_event)) {
      delta({{"type", "thinking_delta"}, {"thinking", std::move(piece)}}, Role::content);
    }
    delta({{"type", "signature_delta"}, {"signature", "fault-signature"}}, Role::frame);
    close();
  }

  void add_text() {
    open({{"type", "text"}, {"text", ""}});
    for (auto& piece : pieces_of(answer_.text, answer_.tokens_per_event)) {
      delta({{"type", "text_delta"}, {"text", std::move(piece)}}, Role::content);
    }
    close();
  }

  void add_call(const Answer::Call& call) {
    open({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", Json::object()}});
    for (const auto& half : halves_of(call.arguments)) {
      delta({{"type", "input_json_delta"}, {"partial_json", half}}, Role::content);
    }
    close();
  }

  void open(Json block) {
    add({{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}}, Role::frame);
  }
  void delta(Json delta, Role role) {
    add({{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}}, role);
  }
  void close() { add({{"type", "content_block_stop"}, {"index", index_++}}, Role::frame); }
  void add(const Json& event, Role role) { parts_.push_back({named_event(event), role}); }

  const Answer& answer_;
  std::string_view asked_;
  std::size_t index_ = 0;
  std::vector<StreamPart> parts_;
};

// The Responses wire: named events around the items of the output, and the whole response at the end.

Json responses_usage(const Answer& answer) {
  const auto output = output_tokens(answer);
  return {{"input_tokens", answer.usage.input},
          {"input_tokens_details", {{"cached_tokens", answer.usage.cached}}},
          {"output_tokens", output},
          {"output_tokens_details", {{"reasoning_tokens", reasoning_tokens(answer)}}},
          {"total_tokens", answer.usage.input + output}};
}

Json responses_reasoning(const Answer& answer) {
  return {{"type", "reasoning"},
          {"id", "rs_fault"},
          {"summary", Json::array({{{"type", "summary_text"}, {"text", answer.reasoning}}})},
          {"encrypted_content", "fault-signature"}};
}

Json responses_message(const std::string& status, Json content) {
  return {{"type", "message"},
          {"id", "msg_fault"},
          {"status", status},
          {"role", "assistant"},
          {"content", std::move(content)}};
}

Json responses_text(const std::string& text) {
  return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}};
}

Json responses_call(const Answer::Call& call, const std::string& status, const std::string& arguments) {
  return {{"type", "function_call"}, {"id", "fc_" + call.id}, {"status", status},
          {"call_id", call.id},      {"name", call.name},     {"arguments", arguments}};
}

/// `finish` may be the response's status, or why it is incomplete.
Json response_json(const Answer& answer, std::string_view asked, bool begun) {
  const std::string finish = finish_of(answer, "completed", "completed");
  const bool is_status = finish == "completed" || finish == "failed" || finish == "cancelled";
  const std::string status = begun ? "in_progress" : is_status ? finish : "incomplete";
  Json response = {{"id", "resp_fault"},
                   {"object", "response"},
                   {"created_at", 1750000000},
                   {"status", status},
                   {"error", nullptr},
                   {"incomplete_details", nullptr},
                   {"model", model_of(answer, asked)},
                   {"output", Json::array()},
                   {"usage", nullptr}};
  if (begun) return response;
  if (status == "incomplete") response["incomplete_details"] = {{"reason", finish}};
  auto& output = response["output"];
  if (!answer.reasoning.empty()) output.push_back(responses_reasoning(answer));
  if (!answer.text.empty()) {
    output.push_back(responses_message("completed", Json::array({responses_text(answer.text)})));
  }
  for (const auto& call : answer.calls) output.push_back(responses_call(call, "completed", call.arguments));
  response["usage"] = responses_usage(answer);
  return response;
}

class ResponsesStream {
 public:
  ResponsesStream(const Answer& answer, std::string_view asked) : answer_{answer}, asked_{asked} {}

  std::vector<StreamPart> parts() {
    add({{"type", "response.created"}, {"response", response_json(answer_, asked_, true)}}, Role::frame);
    if (!answer_.reasoning.empty()) add_reasoning();
    if (!answer_.text.empty()) add_text();
    for (const auto& call : answer_.calls) add_call(call);
    Json response = response_json(answer_, asked_, false);
    add({{"type", "response." + response["status"].get<std::string>()}, {"response", std::move(response)}},
        Role::closing);
    return std::move(parts_);
  }

 private:
  void add_reasoning() {
    open({{"type", "reasoning"}, {"id", "rs_fault"}, {"summary", Json::array()}});
    for (auto& piece : pieces_of(answer_.reasoning, answer_.tokens_per_event)) {
      delta("response.reasoning_summary_text.delta", "rs_fault", {{"summary_index", 0}, {"delta", std::move(piece)}});
    }
    close(responses_reasoning(answer_));
  }

  void add_text() {
    open(responses_message("in_progress", Json::array()));
    for (auto& piece : pieces_of(answer_.text, answer_.tokens_per_event)) {
      delta("response.output_text.delta", "msg_fault", {{"content_index", 0}, {"delta", std::move(piece)}});
    }
    close(responses_message("completed", Json::array({responses_text(answer_.text)})));
  }

  void add_call(const Answer::Call& call) {
    open(responses_call(call, "in_progress", ""));
    for (const auto& half : halves_of(call.arguments)) {
      delta("response.function_call_arguments.delta", "fc_" + call.id, {{"delta", half}});
    }
    close(responses_call(call, "completed", call.arguments));
  }

  void open(Json item) {
    add({{"type", "response.output_item.added"}, {"output_index", index_}, {"item", std::move(item)}}, Role::frame);
  }
  void delta(const char* type, const std::string& item_id, const Json& fields) {
    Json event = {{"type", type}, {"item_id", item_id}, {"output_index", index_}};
    event.update(fields);
    add(std::move(event), Role::content);
  }
  void close(Json item) {
    add({{"type", "response.output_item.done"}, {"output_index", index_++}, {"item", std::move(item)}}, Role::frame);
  }
  void add(Json event, Role role) {
    event["sequence_number"] = parts_.size();
    parts_.push_back({named_event(event), role});
  }

  const Answer& answer_;
  std::string_view asked_;
  std::size_t index_ = 0;
  std::vector<StreamPart> parts_;
};

/// The name of a status, by google/rpc/code.proto.
std::string_view google_status(int status) {
  switch (status) {
    case 400:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 500:
      return "INTERNAL";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status < 500 ? "FAILED_PRECONDITION" : "UNAVAILABLE";
  }
}

/// `status`: of HTTP, which some wires repeat.
Json error_json(Wire wire, const ErrorWords& error, int status) {
  switch (wire) {
    case Wire::anthropic:
      return {{"type", "error"},
              {"error", {{"type", error.type}, {"message", error.message}}},
              {"request_id", "req_fault"}};
    case Wire::gemini:
      return {{"error", {{"code", status}, {"message", error.message}, {"status", google_status(status)}}}};
    case Wire::cohere:
      return {{"id", "req_fault"}, {"message", error.message}};
    case Wire::ollama:
      return {{"error", error.message}};
    case Wire::bedrock:
    case Wire::invoke:
      return {{"message", error.message}};
    case Wire::openai:
    case Wire::responses:
      break;
  }
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", nullptr},
            {"code", error.code.empty() ? Json(nullptr) : Json(error.code)}}}};
}

}  // namespace

std::string plain_body(Wire wire, const Answer& answer, std::string_view asked_model) {
  switch (wire) {
    case Wire::openai:
      return openai_plain(answer, asked_model);
    case Wire::anthropic:
      return anthropic_plain(answer, asked_model);
    case Wire::responses:
      return response_json(answer, asked_model, false).dump();
    case Wire::gemini:
      return gemini_plain(answer, asked_model);
    case Wire::cohere:
      return cohere_plain(answer);
    case Wire::ollama:
      return ollama_plain(answer, asked_model);
    case Wire::bedrock:
      return bedrock_plain(answer);
    case Wire::invoke:
      return anthropic_plain(answer, asked_model);
  }
  return {};
}

std::vector<StreamPart> stream_parts(Wire wire, const Answer& answer, std::string_view asked_model,
                                     bool include_usage) {
  switch (wire) {
    case Wire::openai:
      return OpenAiStream{answer, asked_model}.parts(include_usage);
    case Wire::anthropic:
      return AnthropicStream{answer, asked_model}.parts();
    case Wire::responses:
      return ResponsesStream{answer, asked_model}.parts();
    case Wire::gemini:
      return gemini_stream(answer, asked_model);
    case Wire::cohere:
      return cohere_stream(answer);
    case Wire::ollama:
      return ollama_stream(answer, asked_model);
    case Wire::bedrock:
      return bedrock_stream(answer);
    case Wire::invoke:
      return invoke_stream(AnthropicStream{answer, asked_model}.parts());
  }
  return {};
}

std::string error_body(Wire wire, const ErrorWords& error, int status) {
  return error_json(wire, error, status).dump();
}

std::string error_event(Wire wire, const ErrorWords& error) {
  constexpr int status = 503;
  switch (wire) {
    case Wire::anthropic:
      return named_event(error_json(wire, error, status));
    case Wire::responses: {
      Json event = {{"type", "error"}};
      event.update(error_json(wire, error, status));
      return named_event(event);
    }
    case Wire::cohere:
      return named_event({{"type", "message-end"}, {"delta", {{"finish_reason", "ERROR"}, {"error", error.message}}}});
    case Wire::gemini:
      return error_json(wire, error, status).dump() + "\r\n";  // a document and no event
    case Wire::ollama:
      return json_line(error_json(wire, error, status));
    case Wire::bedrock:
    case Wire::invoke:
      return bedrock_message("exception", error.type.empty() ? "serviceUnavailableException" : error.type,
                             error_json(wire, error, status).dump());
    case Wire::openai:
      break;
  }
  return data_event(error_json(wire, error, status));
}

std::string ping_event(Wire wire) {
  if (wire == Wire::anthropic) return named_event({{"type", "ping"}});
  if (wire == Wire::invoke) return invoke_message(R"({"type":"ping"})");
  if (wire == Wire::bedrock) return bedrock_message("event", "ping", "{}");
  return wire == Wire::ollama ? "\n" : ": keep-alive\n\n";
}

std::string_view stream_type(Wire wire) {
  if (is_binary(wire)) return "application/vnd.amazon.eventstream";
  return wire == Wire::ollama ? "application/x-ndjson" : "text/event-stream; charset=utf-8";
}

}  // namespace backstop::faults
