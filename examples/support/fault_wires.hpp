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

}  // namespace backstop::faults
