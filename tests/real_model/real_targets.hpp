#pragma once

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>

#include "backstop/chat/error.hpp"
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
  if (!RealModelServer::available()) SKIP("the real model is not installed in " BACKSTOP_REAL_MODEL_DIR);
}

/// Ends the test with the whole error where an answer was expected.
inline void need(const Result<ChatResponse>& reply) {
  if (!reply) FAIL(to_string(reply.error()));
}

/// A target on that server; `name` tells targets apart in a ledger. Whoever gives no key sends "any-key".
inline Provider target_on(const RealModelServer& server, Wire wire, std::string name, ModelOptions options = {}) {
  options.model = "smollm2";
  options.name = std::move(name);
  if (options.api_key.empty()) options.api_key = "any-key";
  options.base_url = server.base_url(wire == Wire::openai ? "/v1" : "");
  return wire == Wire::openai ? openai_compatible(std::move(options)) : anthropic(std::move(options));
}

}  // namespace backstop::real_model
