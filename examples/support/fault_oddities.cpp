#include "fault_oddities.hpp"

#include <functional>
#include <utility>

#include "fault_http.hpp"
#include "fault_streams.hpp"

namespace backstop::faults {
namespace {

/// A stream whose events are changed before they are sent; on wires whose streams are text.
Behaviour changed_stream(std::string name, Answer what, std::function<void(Wire, Parts&)> change) {
  return understood(std::move(name),
                    [what = std::move(what), change = std::move(change)](Wire wire, const Asked& asked) {
                      if (!asked.stream) return plain_script(wire, what, asked);
                      auto parts = parts_of(wire, what, asked);
                      if (!is_binary(wire)) change(wire, parts);
                      return whole_stream(wire, parts, what);
                    });
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string replaced;
  std::string_view rest = text;
  for (auto at = rest.find(from); at != std::string_view::npos; at = rest.find(from)) {
    replaced.append(rest.substr(0, at)).append(to);
    rest.remove_prefix(at + from.size());
  }
  replaced.append(rest);
  text = std::move(replaced);
}

/// The stream ends with these bytes after that much content.
Behaviour ended_by(std::string name, std::size_t after, Answer what, std::string bytes) {
  return changed_stream(std::move(name), std::move(what), [after, bytes = std::move(bytes)](Wire, Parts& parts) {
    parts.resize(after == 0 ? 0 : place_after(after, parts));
    parts.push_back({bytes});
  });
}

}  // namespace

Behaviour crlf_events(Answer what) {
  return changed_stream("crlf_events", std::move(what), [](Wire, Parts& parts) {
    for (auto& part : parts) {
      replace_all(part.bytes, "\r\n", "\n");
      replace_all(part.bytes, "\n", "\r\n");
    }
  });
}

Behaviour comments_between(Answer what) {
  return changed_stream("comments_between", std::move(what), [](Wire wire, Parts& parts) {
    for (auto& part : parts) part.bytes.insert(0, wire == Wire::ollama ? "\n" : ": PROCESSING\n\n: \n\n");
  });
}

Behaviour blanks_before(std::size_t count, Answer what) {
  return understood("blanks_before", [count, what = std::move(what)](Wire wire, const Asked& asked) {
    if (!asked.stream)
      return sending(json_response(200, {}, std::string(count, ' ') + plain_body(wire, what, asked.model)));
    auto parts = parts_of(wire, what, asked);
    if (!is_binary(wire)) parts.insert(parts.begin(), {std::string(count, '\n')});
    return whole_stream(wire, parts, what);
  });
}

Behaviour tight_fields(Answer what) {
  return changed_stream("tight_fields", std::move(what), [](Wire, Parts& parts) {
    for (auto& part : parts) {
      replace_all(part.bytes, "data: ", "data:");
      replace_all(part.bytes, "event: ", "event:");
    }
  });
}

Behaviour finish_twice(Answer what) {
  return changed_stream("finish_twice", std::move(what), [](Wire, Parts& parts) {
    const auto closing = static_cast<std::ptrdiff_t>(place_after(all_content, parts));
    const Parts again{parts.begin() + closing, parts.end() - 1};
    parts.insert(parts.end() - 1, again.begin(), again.end());
  });
}

Behaviour done_without_finish(Answer what) {
  return changed_stream("done_without_finish", std::move(what), [](Wire, Parts& parts) {
    const auto closing = static_cast<std::ptrdiff_t>(place_after(all_content, parts));
    parts.erase(parts.begin() + closing, parts.end() - 1);
  });
}

Behaviour error_field_after(std::size_t after, Answer what) {
  return ended_by("error_field_after", after, std::move(what),
                  "error: {\"code\":500,\"message\":\"out of memory\",\"type\":\"server_error\"}\n\n");
}

Behaviour bare_error_after(std::size_t after, Answer what) {
  return ended_by("bare_error_after", after, std::move(what),
                  "{\"error\":{\"code\":503,\"message\":\"The model is overloaded.\",\"status\":\"UNAVAILABLE\"}}");
}

Behaviour error_beside_choices_after(std::size_t after, Answer what) {
  return ended_by(
      "error_beside_choices_after", after, std::move(what),
      "data: {\"error\":{\"code\":502,\"message\":\"upstream failed\"},\"choices\":[{\"index\":0,\"delta\":"
      "{\"content\":\"\"},\"finish_reason\":\"error\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}"
      "\n\ndata: [DONE]\n\n");
}

Behaviour flat_error_after(std::size_t after, Answer what) {
  return ended_by(
      "flat_error_after", after, std::move(what),
      "data: {\"object\":\"error\",\"message\":\"engine died\",\"type\":\"InternalServerError\",\"code\":500}\n\n");
}

Behaviour done_only() { return ended_by("done_only", 0, {}, "data: [DONE]\n\n"); }

}  // namespace backstop::faults
