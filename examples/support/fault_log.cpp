#include "fault_log.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fault_streams.hpp"

namespace backstop::faults {

std::string line_of(const ReceivedRequest& request) {
  std::string line = fmt::format("{} {}", request.method, request.path.substr(0, request.path.find('?')));
  if (const auto asked = read_asked(request)) {
    line += fmt::format(": model {}, {}, {} message{}", asked->model.empty() ? "not said" : asked->model,
                        asked->stream ? "streamed" : "plain", asked->messages, asked->messages == 1 ? "" : "s");
  } else {
    line += ": no JSON object";
  }
  std::replace_if(line.begin(), line.end(), [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; }, ' ');
  return line;
}

Behaviour logged(std::function<void(const std::string&)> print, Behaviour inner) {
  Behaviour behaviour = inner;
  behaviour.script = [print = std::move(print), inner = std::move(inner)](const ReceivedRequest& request) {
    print(line_of(request));
    return inner.script(request);
  };
  return behaviour;
}

}  // namespace backstop::faults
