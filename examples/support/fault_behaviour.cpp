#include "fault_behaviour.hpp"

#include <algorithm>
#include <utility>

#include "fault_http.hpp"
#include "fault_streams.hpp"
#include "fault_wires.hpp"

namespace backstop::faults {
namespace {

/// What is left when the last half of the body never comes.
Script half_of(std::string response, std::size_t body_size) {
  response.resize(response.size() - body_size / 2);
  return sending(std::move(response));
}

Behaviour broken_stream(std::string name, std::size_t after, Answer what, std::vector<Step> end) {
  return understood(std::move(name),
                    [after, what = std::move(what), end = std::move(end)](Wire wire, const Asked& asked) {
                      Script script;
                      if (asked.stream) {
                        auto parts = parts_of(wire, what, asked);
                        parts.resize(place_after(after, parts));
                        script = open_stream(wire, parts, what);
                      } else {
                        const auto body = plain_body(wire, what, asked.model);
                        script = half_of(json_response(200, {}, body), body.size());
                      }
                      script.steps.insert(script.steps.end(), end.begin(), end.end());
                      return script;
                    });
}

ErrorWords overloaded_words(Wire wire) {
  if (wire == Wire::anthropic) return {"overloaded_error", "Overloaded", {}};
  if (is_binary(wire)) return {"serviceUnavailableException", "The model is busy.", {}};
  return {"server_error", "The engine is currently overloaded, please try again later", {}};
}

/// The beginning of a piece of an answer.
std::string broken_json(Wire wire) {
  switch (wire) {
    case Wire::openai:
      return R"({"choices":[{"delta":{"content")";
    case Wire::anthropic:
    case Wire::invoke:
      return R"({"type":"content_block_delta","delta":{"text")";
    case Wire::bedrock:
      return R"({"contentBlockIndex":0,"delta":{"text")";
    case Wire::responses:
      return R"({"type":"response.output_text.delta","delta")";
    case Wire::gemini:
      return R"({"candidates":[{"content":{"parts")";
    case Wire::cohere:
      return R"({"type":"content-delta","delta":{"message")";
    case Wire::ollama:
      return R"({"message":{"content")";
  }
  return {};
}

std::string broken_event(Wire wire, const std::string& broken) {
  if (wire == Wire::ollama) return broken + "\n";
  if (wire == Wire::bedrock) return bedrock_message("event", "contentBlockDelta", broken);
  if (wire == Wire::invoke) return invoke_message(broken);
  const std::string name = wire == Wire::anthropic ? "event: content_block_delta\n" : "";
  return name + "data: " + broken + "\n\n";
}

}  // namespace

Behaviour answer(Answer what) {
  return understood(
      "answer", [what = std::move(what)](Wire wire, const Asked& asked) { return answer_script(wire, what, asked); });
}

Behaviour tool_call(std::string name, std::string arguments, std::string id) {
  Answer what{.text = ""};
  what.calls.push_back({.id = std::move(id), .name = std::move(name), .arguments = std::move(arguments)});
  return answer(std::move(what));
}

Behaviour reasoning(std::string thoughts, std::string text) {
  return answer(Answer{.text = std::move(text), .reasoning = std::move(thoughts)});
}

Behaviour silence() { return fixed("silence", Script{{Hang{}}, {}}); }

Behaviour accept_and_close() {
  auto behaviour = fixed("accept_and_close", Script{{Close{}}, {}});
  behaviour.at_accept = true;
  return behaviour;
}

Behaviour close_after_request() { return fixed("close_after_request", Script{{Close{}}, {}}); }

Behaviour reset_before_headers() { return fixed("reset_before_headers", Script{{Reset{}}, {}}); }

Behaviour reset_after_headers() {
  return fixed("reset_after_headers", Script{{Send{stream_head(stream_type(Wire::openai))}, Reset{}}, {}});
}

Behaviour cut_stream(std::size_t after, Answer what) {
  return broken_stream("cut_stream", after, std::move(what), {Close{}});
}

Behaviour reset_stream(std::size_t after, Answer what) {
  return broken_stream("reset_stream", after, std::move(what), {Reset{}});
}

Behaviour stall_stream(std::size_t after, Answer what) {
  return broken_stream("stall_stream", after, std::move(what), {Hang{}});
}

Behaviour stall_then_close(std::size_t after, std::chrono::milliseconds silence, Answer what) {
  return broken_stream("stall_then_close", after, std::move(what), {Pause{silence}, Close{}});
}

Behaviour truncated_body(Answer what) {
  return understood("truncated_body", [what = std::move(what)](Wire wire, const Asked& asked) {
    std::string body = asked.stream ? "" : plain_body(wire, what, asked.model);
    std::string response = json_response(200, {}, body);
    if (asked.stream) {
      for (const auto& part : parts_of(wire, what, asked)) body += part.bytes;
      response = whole_response(200, {{"content-type", std::string{stream_type(wire)}}}, body);
    }
    auto script = half_of(std::move(response), body.size());
    script.steps.emplace_back(Close{});
    return script;
  });
}

Behaviour end_without_done(Answer what) {
  return understood("end_without_done", [what = std::move(what)](Wire wire, const Asked& asked) {
    if (!asked.stream) return plain_script(wire, what, asked);
    auto parts = parts_of(wire, what, asked);
    parts.resize(place_after(all_content, parts));
    return whole_stream(wire, parts, what);
  });
}

Behaviour without_done(Answer what, bool stays_open) {
  return understood("without_done", [what = std::move(what), stays_open](Wire wire, const Asked& asked) {
    if (!asked.stream || wire != Wire::openai) return answer_script(wire, what, asked);
    auto parts = parts_of(wire, what, asked);
    parts.pop_back();
    auto script = stays_open ? open_stream(wire, parts, what) : whole_stream(wire, parts, what);
    if (stays_open) script.steps.emplace_back(Hang{});
    return script;
  });
}

Behaviour refuses_prefill(Answer what) {
  return understood("refuses_prefill", [what = std::move(what)](Wire wire, const Asked& asked) {
    if (!asked.ends_with_assistant) return answer_script(wire, what, asked);
    const ErrorWords words{
        "invalid_request_error",
        "This model does not support assistant message prefill. The conversation must end with a user "
        "message.",
        {}};
    return sending(json_response(400, {}, error_body(wire, words, 400)));
  });
}

Behaviour error_event_after(std::size_t after, std::optional<ErrorWords> error, Answer what) {
  return understood("error_event_after", [=](Wire wire, const Asked& asked) {
    const auto words = error.value_or(overloaded_words(wire));
    if (!asked.stream) return sending(json_response(200, {}, error_body(wire, words, 503)));
    auto parts = parts_of(wire, what, asked);
    parts.resize(after == 0 ? 0 : place_after(after, parts));
    parts.push_back({error_event(wire, words)});
    return whole_stream(wire, parts, what);
  });
}

Behaviour malformed_json(std::size_t after, Answer what) {
  return understood("malformed_json", [=](Wire wire, const Asked& asked) {
    const std::string broken = broken_json(wire);
    if (!asked.stream) return sending(json_response(200, {}, broken));
    auto parts = parts_of(wire, what, asked);
    const auto place = static_cast<std::ptrdiff_t>(place_after(after, parts));
    parts.insert(parts.begin() + place, {broken_event(wire, broken)});
    return whole_stream(wire, parts, what);
  });
}

Behaviour pings_only(std::chrono::milliseconds interval) {
  return understood("pings_only", [interval](Wire wire, const Asked& asked) {
    if (!asked.stream) return Script{{Hang{}}, {}};
    auto parts = parts_of(wire, {}, asked);
    parts.resize(std::min<std::size_t>(1, place_after(0, parts)));  // the role chunk or `message_start`, if any
    auto script = open_stream(wire, parts, {});
    script.repeat_from = script.steps.size();
    script.steps.emplace_back(Send{chunk(ping_event(wire))});
    script.steps.emplace_back(Pause{std::max(interval, std::chrono::milliseconds{1})});
    return script;
  });
}

Behaviour empty_choices() {
  return understood("empty_choices", [](Wire wire, const Asked& asked) {
    const Answer nothing{.text = ""};
    if (wire != Wire::openai) return answer_script(wire, nothing, asked);
    const std::string body = R"({"id":"chatcmpl-fault","object":"chat.completion","model":"fault-model","choices":[]})";
    if (!asked.stream) return sending(json_response(200, {}, body));
    return whole_stream(wire, {{"data: " + body + "\n\n"}, {"data: [DONE]\n\n"}}, {});
  });
}

Behaviour ignores_stream(Answer what) {
  return understood("ignores_stream", [what = std::move(what)](Wire wire, const Asked& asked) {
    return plain_script(wire, what, asked);
  });
}

Behaviour huge_header(std::size_t bytes) {
  return understood("huge_header", [bytes](Wire wire, const Asked& asked) {
    HeaderList headers{{"x-filler", std::string(bytes, 'x')}, {"content-type", "application/json"}};
    return sending(whole_response(200, std::move(headers), plain_body(wire, {}, asked.model)));
  });
}

Behaviour raw(std::string bytes, bool close) {
  auto script = sending(std::move(bytes));
  if (close) script.steps.emplace_back(Close{});
  return fixed("raw", std::move(script));
}

}  // namespace backstop::faults
