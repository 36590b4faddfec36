#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/anthropic.hpp"
#include "backstop/providers/openai.hpp"
#include "real_model.hpp"

namespace backstop::real_model {

enum class Wire { openai, anthropic };

/// Skips the test where the packages of the real model are missing.
inline void need_real_model() {
  if (!has_model_packages()) SKIP("the real model is not installed in " BACKSTOP_REAL_MODEL_DIR);
}

/// Ends the test with the whole error where an answer was expected.
inline void need(const Result<ChatResponse>& reply) {
  if (!reply) FAIL(to_string(reply.error()));
}

/// The row that answered, and the only one but for a send that met the end of a kept connection: this server closes each
/// connection right after a stream, without having said so.
[[nodiscard]] inline const Attempt& only_answer(const ChatResponse& reply) {
  REQUIRE_FALSE(reply.attempts.empty());
  for (std::size_t i = 0; i + 1 < reply.attempts.size(); ++i) {
    CHECK(reply.attempts[i].outcome == ErrorKind::connect_failed);
  }
  CHECK(reply.attempts.size() <= 2);
  CHECK_FALSE(reply.attempts.back().outcome);
  return reply.attempts.back();
}

/// A target on that server; `name` tells targets apart in a ledger. Whoever gives no key sends "any-key".
inline Provider target_on(const RealModelServer& server, Wire wire, std::string name, ModelOptions options = {}) {
  options.model = "smollm2";
  options.name = std::move(name);
  if (options.api_key.empty()) options.api_key = "any-key";
  options.base_url = server.base_url(wire == Wire::openai ? "/v1" : "");
  return wire == Wire::openai ? openai_compatible(std::move(options)) : anthropic(std::move(options));
}

/// Is answered by a call of `add`, plainly and streamed.
inline ChatRequest sum_question() {
  ChatRequest request{"Add 3 and 4."};
  request.temperature = 0.0;
  request.max_output_tokens = 80;
  request.tools = {{.name = "add",
                    .description = "Adds two integers",
                    .parameters = R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},
                                      "required":["a","b"]})"}};
  return request;
}

inline void check_is_the_sum(const ChatResponse& reply) {
  CHECK(reply.finish_reason == FinishReason::tool_calls);
  const auto calls = reply.tool_calls();
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].name == "add");
  CHECK_FALSE(calls[0].id.empty());
  CHECK(nlohmann::json::parse(calls[0].arguments) == nlohmann::json{{"a", 3}, {"b", 4}});
}

}  // namespace backstop::real_model
