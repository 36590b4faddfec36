#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fault_script.hpp"
#include "fault_wire.hpp"

/// What behaviours are made of.
namespace backstop::faults {

/// What an answer depends on.
struct Asked {
  std::string model;
  bool stream = false;
  bool include_usage = false;
  bool ends_with_assistant = false;  ///< the answer is to go on from a turn of the model's own
  std::size_t messages = 0;          ///< turns of the conversation
};

/// Nothing for a body that is no JSON object.
[[nodiscard]] std::optional<Asked> read_asked(const ReceivedRequest& request);

/// A behaviour of a request that one of the wires understands; others are refused as a provider would.
[[nodiscard]] Behaviour understood(std::string name, std::function<Script(Wire, const Asked&)> make);

using Parts = std::vector<StreamPart>;

[[nodiscard]] Parts parts_of(Wire wire, const Answer& what, const Asked& asked);

inline constexpr std::size_t all_content = static_cast<std::size_t>(-1);

/// Where a stream stands after that many events with content; at the latest before the closing events.
[[nodiscard]] std::size_t place_after(std::size_t content, const Parts& parts);

/// A stream with these events and no end yet.
[[nodiscard]] Script open_stream(Wire wire, const Parts& parts, const Answer& pace);

/// A stream with these events, ended as HTTP wants it.
[[nodiscard]] Script whole_stream(Wire wire, const Parts& parts, const Answer& pace);

[[nodiscard]] Script plain_script(Wire wire, const Answer& what, const Asked& asked);

/// As the request asks, plain or streamed.
[[nodiscard]] Script answer_script(Wire wire, const Answer& what, const Asked& asked);

}  // namespace backstop::faults
