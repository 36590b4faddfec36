#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "fault_wire.hpp"

/// What every wire makes of an answer, and the framings.
namespace backstop::faults {

using Json = nlohmann::ordered_json;

/// Words, each with the blanks before it, so many to a piece: joined they are the text again.
[[nodiscard]] std::vector<std::string> pieces_of(std::string_view text, std::size_t tokens_per_piece);

/// Halves of a tool call's arguments, so that a client has to join them; never within a UTF-8 sequence.
[[nodiscard]] std::vector<std::string> halves_of(const std::string& text);

[[nodiscard]] std::string model_of(const Answer& answer, std::string_view asked);
[[nodiscard]] std::int64_t reasoning_tokens(const Answer& answer);
/// Those of the reasoning included.
[[nodiscard]] std::int64_t output_tokens(const Answer& answer);
/// The answer's own word, else one of these two.
[[nodiscard]] std::string finish_of(const Answer& answer, std::string_view stop, std::string_view tools);

/// The arguments as an object; as text where they are no JSON.
[[nodiscard]] Json arguments_json(const Answer::Call& call);

[[nodiscard]] std::string data_event(const Json& json);
/// An event with the name that its `type` says.
[[nodiscard]] std::string named_event(const Json& json);
[[nodiscard]] std::string json_line(const Json& json);

}  // namespace backstop::faults
