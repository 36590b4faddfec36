#include "fault_script.hpp"

#include <utility>

namespace backstop::faults {

Behaviour scripted(std::string name, std::function<Script(const ReceivedRequest&)> make) {
  return {std::move(name), [make = std::move(make)](const ReceivedRequest& request) {
            return std::make_shared<const Script>(make(request));
          }};
}

Behaviour fixed(std::string name, Script script) {
  return {std::move(name),
          [shared = std::make_shared<const Script>(std::move(script))](const ReceivedRequest&) { return shared; }};
}

Script sending(std::string bytes) { return Script{{Send{std::move(bytes)}}, {}}; }

}  // namespace backstop::faults
