#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "support/fault_server.hpp"

namespace backstop::testing_support {

/// A wire that the library speaks, for tests of what holds for all of them.
struct SpokenWire {
  std::string_view name;
  faults::Wire wire;
  Provider (*make)(ModelOptions options);
  std::string_view prefix;  ///< of the path at the fault server
  std::string_view model;   ///< one of the provider's own
  std::string_view policy_name;  ///< of the wire

  /// A target at this server.
  [[nodiscard]] Provider at(const faults::FaultServer& server, ModelOptions options = {}) const {
    if (options.model.empty()) options.model = model;
    if (options.api_key.empty()) options.api_key = "key";
    options.base_url = server.base_url(prefix);
    return make(std::move(options));
  }
};

inline std::vector<SpokenWire> every_wire() {
  const auto responses = [](ModelOptions options) { return openai_responses(std::move(options)); };
  return {{"chat", faults::Wire::openai, openai, "/v1", "gpt-4o", "openai"},
          {"messages", faults::Wire::anthropic, anthropic, "", "claude-sonnet-4-5", "anthropic"},
          {"responses", faults::Wire::responses, responses, "/v1", "gpt-5.4", "openai_responses"},
          {"gemini", faults::Wire::gemini, gemini, "", "gemini-3-pro-preview", "gemini"},
          {"cohere", faults::Wire::cohere, cohere, "", "command-a-03-2025", "cohere"},
          {"ollama", faults::Wire::ollama, ollama_native, "", "llama3.2", "ollama"}};
}

}  // namespace backstop::testing_support
