#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/azure.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "backstop/providers/vertex.hpp"
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
  std::string_view key_header = "authorization";

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
  const auto on_azure = [](ModelOptions options) { return azure(std::move(options)); };
  const auto messages = [](ModelOptions options) { return anthropic(std::move(options)); };
  const auto messages_2026 = [](ModelOptions options) {
    return anthropic(std::move(options), {.api_version = "2026-10-21"});
  };
  const auto converse = [](ModelOptions options) { return bedrock(std::move(options), {.region = "us-east-1"}); };
  const auto claude_on_bedrock = [](ModelOptions options) {
    return bedrock_anthropic(std::move(options), {.region = "us-east-1"});
  };
  const auto on_vertex = [](ModelOptions options) { return vertex(std::move(options), {.project = "p"}); };
  const auto claude_on_vertex = [](ModelOptions options) {
    return vertex_anthropic(std::move(options), {.project = "p"});
  };
  constexpr std::string_view claude_in_bedrock = "anthropic.claude-sonnet-4-5-20250929-v1:0";
  return {{"chat", faults::Wire::openai, openai, "/v1", "gpt-4o", "openai"},
          {"azure", faults::Wire::openai, on_azure, "", "gpt-4o", "openai", "api-key"},
          {"messages", faults::Wire::anthropic, messages, "", "claude-sonnet-4-5", "anthropic", "x-api-key"},
          {"messages of 2026", faults::Wire::anthropic, messages_2026, "", "claude-sonnet-4-5", "anthropic"},
          {"messages on Vertex AI", faults::Wire::anthropic, claude_on_vertex, "", "claude-sonnet-4-5@20250929",
           "anthropic"},
          {"responses", faults::Wire::responses, responses, "/v1", "gpt-5.4", "openai_responses"},
          {"gemini", faults::Wire::gemini, gemini, "", "gemini-3-pro-preview", "gemini", "x-goog-api-key"},
          {"gemini on Vertex AI", faults::Wire::gemini, on_vertex, "", "gemini-3-pro-preview", "gemini"},
          {"cohere", faults::Wire::cohere, cohere, "", "command-a-03-2025", "cohere"},
          {"ollama", faults::Wire::ollama, ollama_native, "", "llama3.2", "ollama"},
          {"bedrock", faults::Wire::bedrock, converse, "", claude_in_bedrock, "bedrock"},
          {"messages on Bedrock", faults::Wire::invoke, claude_on_bedrock, "", claude_in_bedrock, "bedrock_anthropic"}};
}

}  // namespace backstop::testing_support
