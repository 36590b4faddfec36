#include "fault_behaviour.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "fault_http.hpp"

namespace backstop::faults {
namespace {

/// What an answer depends on.
struct Asked {
  std::string model;
  bool stream = false;
  bool include_usage = false;
};

std::optional<Asked> read_asked(const ReceivedRequest& request) {
  const auto json = nlohmann::json::parse(request.body, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto is_true = [](const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && *found == true;
  };
  Asked asked;
  if (const auto model = json.find("model"); model != json.end() && model->is_string()) asked.model = *model;
  asked.stream = is_true(json, "stream");
  const auto options = json.find("stream_options");
  asked.include_usage = options != json.end() && options->is_object() && is_true(*options, "include_usage");
  return asked;
}

/// A behaviour of a request that one of the two wires understands; others are refused as a provider would.
Behaviour understood(std::string name, std::function<Script(Wire, const Asked&)> make) {
  return scripted(std::move(name), [make = std::move(make)](const ReceivedRequest& request) {
    const auto wire = request.wire();
    if (!wire) {
      const ErrorWords words{"invalid_request_error", "Unknown path: " + request.path};
      return sending(json_response(404, {}, error_body(Wire::openai, words)));
    }
    const auto asked = read_asked(request);
    if (!asked) {
      const ErrorWords words{"invalid_request_error", "The body is not a JSON object."};
      return sending(json_response(400, {}, error_body(*wire, words)));
    }
    return make(*wire, *asked);
  });
}

Script plain_script(Wire wire, const Answer& what, const Asked& asked) {
  return sending(json_response(200, {}, plain_body(wire, what, asked.model)));
}

using Parts = std::vector<StreamPart>;

constexpr std::size_t all_content = static_cast<std::size_t>(-1);

/// Where a stream stands after that many events with content; at the latest before the closing events.
std::size_t place_after(std::size_t content, const Parts& parts) {
  std::size_t place = 0;
  for (; place < parts.size() && parts[place].role != StreamPart::Role::closing; ++place) {
    if (parts[place].role == StreamPart::Role::content && content-- == 0) break;
  }
  return place;
}

/// A stream with these events and no end yet.
Script open_stream(const Parts& parts, const Answer& pace) {
  auto script = sending(stream_head());
  bool first = true;
  for (const auto& part : parts) {
    if (part.role == StreamPart::Role::content) {
      const auto delay = std::exchange(first, false) ? pace.delay_before_first : pace.delay_between;
      if (delay.count() > 0) script.steps.push_back(Pause{delay});
    }
    script.steps.push_back(Send{chunk(part.bytes)});
  }
  return script;
}

/// A stream with these events, ended as HTTP wants it.
Script whole_stream(const Parts& parts, const Answer& pace) {
  auto script = open_stream(parts, pace);
  script.steps.push_back(Send{chunk({})});
  return script;
}

Parts parts_of(Wire wire, const Answer& what, const Asked& asked) {
  return stream_parts(wire, what, asked.model, asked.include_usage);
}

Script answer_script(Wire wire, const Answer& what, const Asked& asked) {
  return asked.stream ? whole_stream(parts_of(wire, what, asked), what) : plain_script(wire, what, asked);
}

/// What is left when the last half of the body never comes.
Script half_of(std::string response, std::size_t body_size, Step end) {
  response.resize(response.size() - body_size / 2);
  auto script = sending(std::move(response));
  script.steps.push_back(end);
  return script;
}

Behaviour broken_stream(std::string name, std::size_t after, Answer what, Step end) {
  return understood(std::move(name), [after, what = std::move(what), end](Wire wire, const Asked& asked) {
    if (!asked.stream) {
      const auto body = plain_body(wire, what, asked.model);
      return half_of(json_response(200, {}, body), body.size(), end);
    }
    auto parts = parts_of(wire, what, asked);
    parts.resize(place_after(after, parts));
    auto script = open_stream(parts, what);
    script.steps.push_back(end);
    return script;
  });
}

ErrorWords overloaded_words(Wire wire) {
  if (wire == Wire::anthropic) return {"overloaded_error", "Overloaded", {}};
  return {"server_error", "The engine is currently overloaded, please try again later", {}};
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

Behaviour reset_after_headers() { return fixed("reset_after_headers", Script{{Send{stream_head()}, Reset{}}, {}}); }

Behaviour cut_stream(std::size_t after, Answer what) {
  return broken_stream("cut_stream", after, std::move(what), Close{});
}

Behaviour reset_stream(std::size_t after, Answer what) {
  return broken_stream("reset_stream", after, std::move(what), Reset{});
}

Behaviour stall_stream(std::size_t after, Answer what) {
  return broken_stream("stall_stream", after, std::move(what), Hang{});
}

Behaviour truncated_body(Answer what) {
  return understood("truncated_body", [what = std::move(what)](Wire wire, const Asked& asked) {
    if (!asked.stream) {
      const auto body = plain_body(wire, what, asked.model);
      return half_of(json_response(200, {}, body), body.size(), Close{});
    }
    std::string body;
    for (const auto& part : parts_of(wire, what, asked)) body += part.bytes;
    return half_of(whole_response(200, {{"content-type", "text/event-stream"}}, body), body.size(), Close{});
  });
}

Behaviour end_without_done(Answer what) {
  return understood("end_without_done", [what = std::move(what)](Wire wire, const Asked& asked) {
    if (!asked.stream) return plain_script(wire, what, asked);
    auto parts = parts_of(wire, what, asked);
    parts.resize(place_after(all_content, parts));
    return whole_stream(parts, what);
  });
}

Behaviour error_event_after(std::size_t after, std::optional<ErrorWords> error, Answer what) {
  return understood("error_event_after", [=](Wire wire, const Asked& asked) {
    const auto words = error.value_or(overloaded_words(wire));
    if (!asked.stream) return sending(json_response(200, {}, error_body(wire, words)));
    auto parts = parts_of(wire, what, asked);
    parts.resize(after == 0 ? 0 : place_after(after, parts));
    parts.push_back({error_event(wire, words)});
    return whole_stream(parts, what);
  });
}

Behaviour malformed_json(std::size_t after, Answer what) {
  return understood("malformed_json", [=](Wire wire, const Asked& asked) {
    const std::string broken = wire == Wire::openai ? R"({"choices":[{"delta":{"content")"
                                                    : R"({"type":"content_block_delta","delta":{"text")";
    if (!asked.stream) return sending(json_response(200, {}, broken));
    const std::string name = wire == Wire::openai ? "" : "event: content_block_delta\n";
    auto parts = parts_of(wire, what, asked);
    const auto place = static_cast<std::ptrdiff_t>(place_after(after, parts));
    parts.insert(parts.begin() + place, {name + "data: " + broken + "\n\n"});
    return whole_stream(parts, what);
  });
}

Behaviour pings_only(std::chrono::milliseconds interval) {
  return understood("pings_only", [interval](Wire wire, const Asked& asked) {
    if (!asked.stream) return Script{{Hang{}}, {}};
    auto parts = parts_of(wire, {}, asked);
    parts.resize(1);  // the role chunk or `message_start`
    auto script = open_stream(parts, {});
    script.repeat_from = script.steps.size();
    script.steps.push_back(Send{chunk(ping_event(wire))});
    script.steps.push_back(Pause{std::max(interval, std::chrono::milliseconds{1})});
    return script;
  });
}

Behaviour empty_choices() {
  return understood("empty_choices", [](Wire wire, const Asked& asked) {
    const Answer nothing{.text = ""};
    if (wire == Wire::anthropic) return answer_script(wire, nothing, asked);
    const std::string body = R"({"id":"chatcmpl-fault","object":"chat.completion","model":"fault-model","choices":[]})";
    if (!asked.stream) return sending(json_response(200, {}, body));
    return whole_stream({{"data: " + body + "\n\n"}, {"data: [DONE]\n\n"}}, {});
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
  if (close) script.steps.push_back(Close{});
  return fixed("raw", std::move(script));
}

}  // namespace backstop::faults
