#include "fault_streams.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "fault_http.hpp"

namespace backstop::faults {
namespace {

/// "m" in ".../models/m:generateContent" and in ".../model/m/converse".
std::string model_in_path(std::string_view path) {
  constexpr std::string_view folder = "/model/";
  const auto bedrock = path.rfind(folder);
  const auto begin = bedrock == std::string_view::npos ? path.rfind('/') + 1 : bedrock + folder.size();
  return std::string{path.substr(begin, path.find_first_of(":/", begin) - begin)};
}

}  // namespace

std::optional<Asked> read_asked(const ReceivedRequest& request) {
  const auto json = nlohmann::json::parse(request.body, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto is_true = [](const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && *found == true;
  };
  Asked asked;
  if (const auto model = json.find("model"); model != json.end() && model->is_string()) asked.model = *model;
  if (asked.model.empty()) asked.model = model_in_path(request.path);
  asked.stream = request.wants_stream();
  const auto options = json.find("stream_options");
  for (const char* key : {"messages", "contents", "input"}) {
    const auto turns = json.find(key);
    if (turns == json.end()) continue;
    asked.messages = turns->is_array() ? turns->size() : 1;
    if (!turns->is_array() || turns->empty() || !turns->back().is_object()) continue;
    const std::string role = turns->back().value("role", "");
    asked.ends_with_assistant = role == "assistant" || role == "model";
  }
  asked.include_usage = options != json.end() && options->is_object() && is_true(*options, "include_usage");
  return asked;
}

Behaviour understood(std::string name, std::function<Script(Wire, const Asked&)> make) {
  return scripted(std::move(name), [make = std::move(make)](const ReceivedRequest& request) {
    const auto wire = request.wire();
    if (!wire) {
      const ErrorWords words{"invalid_request_error", "Unknown path: " + request.path};
      return sending(json_response(404, {}, error_body(Wire::openai, words, 404)));
    }
    const auto asked = read_asked(request);
    if (!asked) {
      const ErrorWords words{"invalid_request_error", "The body is not a JSON object."};
      return sending(json_response(400, {}, error_body(*wire, words, 400)));
    }
    return make(*wire, *asked);
  });
}

Script plain_script(Wire wire, const Answer& what, const Asked& asked) {
  return sending(json_response(200, {}, plain_body(wire, what, asked.model)));
}

std::size_t place_after(std::size_t content, const Parts& parts) {
  std::size_t place = 0;
  for (; place < parts.size() && parts[place].role != StreamPart::Role::closing; ++place) {
    if (parts[place].role == StreamPart::Role::content && content-- == 0) break;
  }
  return place;
}

Script open_stream(Wire wire, const Parts& parts, const Answer& pace) {
  auto script = sending(stream_head(stream_type(wire)));
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

Script whole_stream(Wire wire, const Parts& parts, const Answer& pace) {
  auto script = open_stream(wire, parts, pace);
  script.steps.push_back(Send{chunk({})});
  return script;
}

Parts parts_of(Wire wire, const Answer& what, const Asked& asked) {
  return stream_parts(wire, what, asked.model, asked.include_usage);
}

Script answer_script(Wire wire, const Answer& what, const Asked& asked) {
  return asked.stream ? whole_stream(wire, parts_of(wire, what, asked), what) : plain_script(wire, what, asked);
}

}  // namespace backstop::faults
