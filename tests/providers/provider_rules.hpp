#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

/// What each provider refuses in a conversation, as its documentation and its answers tell it; told by the request's
/// JSON alone, so that no encoder is believed.
namespace backstop::testing_support {

/// A sentence for each rule that a request breaks.
using Broken = std::vector<std::string>;

[[nodiscard]] Broken broken_in_chat(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_responses(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_messages(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_gemini(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_cohere(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_ollama(const nlohmann::json& body);
[[nodiscard]] Broken broken_in_converse(const nlohmann::json& body);

}  // namespace backstop::testing_support
