#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fault_wire.hpp"

/// Answers on the wires that have a file of their own.
namespace backstop::faults {

[[nodiscard]] std::string gemini_plain(const Answer& answer, std::string_view asked_model);
[[nodiscard]] std::vector<StreamPart> gemini_stream(const Answer& answer, std::string_view asked_model);

[[nodiscard]] std::string cohere_plain(const Answer& answer);
[[nodiscard]] std::vector<StreamPart> cohere_stream(const Answer& answer);

[[nodiscard]] std::string ollama_plain(const Answer& answer, std::string_view asked_model);
[[nodiscard]] std::vector<StreamPart> ollama_stream(const Answer& answer, std::string_view asked_model);

[[nodiscard]] std::string bedrock_plain(const Answer& answer);
[[nodiscard]] std::vector<StreamPart> bedrock_stream(const Answer& answer);
/// A message of AWS's binary framing; `kind`: `event` or `exception`.
[[nodiscard]] std::string bedrock_message(std::string_view kind, std::string_view name, std::string_view payload);

/// The events of Anthropic's wire as InvokeModel sends them.
[[nodiscard]] std::vector<StreamPart> invoke_stream(std::vector<StreamPart> messages);
[[nodiscard]] std::string invoke_message(std::string_view event);

}  // namespace backstop::faults
