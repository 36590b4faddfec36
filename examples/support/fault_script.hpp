#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "fault_request.hpp"

namespace backstop::faults {

/// What the server does with a connection, step by step. A script without `Close` or `Reset` leaves the connection
/// open for the next request.
struct Send {
  std::string bytes;  ///< one write, as far as the socket takes it
};
struct Pause {
  std::chrono::milliseconds duration;
};
struct Hang {};   ///< nothing more, until the client leaves
struct Close {};  ///< FIN
struct Reset {};  ///< RST
using Step = std::variant<Send, Pause, Hang, Close, Reset>;

struct Script {
  std::vector<Step> steps;
  std::optional<std::size_t> repeat_from;  ///< after the last step go on with this one, for ever
};

/// How the server answers one request: a name, and the script for a request. A cheap value to copy.
/// Thread safety: as that of `script`, which runs on the server's thread; all behaviours below are safe to share.
struct Behaviour {
  std::string name;
  std::function<std::shared_ptr<const Script>(const ReceivedRequest&)> script;
  bool at_accept = false;  ///< acts on a connection as soon as it is accepted, if it is next in turn then
};

/// A behaviour of one's own.
[[nodiscard]] Behaviour scripted(std::string name, std::function<Script(const ReceivedRequest&)> make);

/// A behaviour that does the same whatever is asked.
[[nodiscard]] Behaviour fixed(std::string name, Script script);

/// A script that sends these bytes and leaves the connection open.
[[nodiscard]] Script sending(std::string bytes);

}  // namespace backstop::faults
