#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/bedrock.hpp"
#include "backstop/providers/cohere.hpp"
#include "backstop/providers/gemini.hpp"
#include "backstop/providers/ollama_native.hpp"
#include "backstop/providers/openai.hpp"
#include "backstop/providers/openai_responses.hpp"
#include "replayed_call.hpp"

namespace backstop::testing_support {

/// A target of a wire or a provider by its name: those of `known_provider`, and responses, messages, gemini, cohere,
/// ollama_native, converse, invoke (Anthropic in Bedrock) and unknown (a server of the chat wire).
inline Provider target_of(std::string_view wire, ModelOptions options) {
  options.api_key = "test-key";
  if (options.base_url.empty()) options.base_url = "http://replayed.test/v1";
  if (wire == "responses") return openai_responses(options);
  if (wire == "messages") return anthropic(options);
  if (wire == "gemini") return gemini(options);
  if (wire == "cohere") return cohere(options);
  if (wire == "ollama_native") return ollama_native(options);
  if (wire == "converse") return bedrock(options, {.region = "us-east-1"});
  if (wire == "invoke") return bedrock_anthropic(options, {.region = "us-east-1"});
  if (wire == "unknown") {
    options.name = "my-gateway";
    return openai_compatible(options);
  }
  return *known_provider(wire, options);
}

/// What a target is sent, and what its row says of it.
struct Sent {
  nlohmann::json body;
  std::string note;
};
inline Sent sent_to(const Provider& target, const ChatRequest& request) {
  ReplayedAnswer refusal;
  refusal.status = 500;
  refusal.body = "{}";
  const ReplayedCall call = call_with(target, request, refusal, false);
  REQUIRE(call.requests.size() == 1);
  const Ledger& attempts = call.result ? call.result->attempts : call.result.error().attempts;
  return {nlohmann::json::parse(call.requests[0].body), attempts.at(0).reason};
}
inline Sent sent_to(std::string_view wire, std::string model, const ChatRequest& request) {
  return sent_to(target_of(wire, {.model = std::move(model)}), request);
}

}  // namespace backstop::testing_support
