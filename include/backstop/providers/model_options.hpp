#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/providers/answer_limits.hpp"
#include "backstop/providers/credentials.hpp"
#include "backstop/runtime/http_options.hpp"

namespace backstop::inline v0 {

/// How to reach a model; the same for every adapter. Only `model` is needed where the provider is a known one.
struct ModelOptions {
  std::string model{};        ///< as the provider calls it
  std::string api_key{};      ///< empty: from the environment variable `api_key_env`
  std::string api_key_env{};  ///< empty: the provider's usual variable, such as OPENAI_API_KEY;
                              ///< none where both `name` and `base_url` are others than the provider's
  Credentials credentials{};  ///< several keys, or one that ends, in place of the two above
  /// The prefix in front of the wire's paths, as in the provider's documentation, such as https://api.openai.com/v1.
  /// Empty: the provider's own. A trailing slash is tolerated.
  std::string base_url{};
  std::string name{};         ///< the provider's name in `Target`; empty: the adapter's own
  /// In its place there, to tell several deployments of one provider apart; what is known of the provider goes by
  /// `name`.
  std::string id{};
  std::vector<Header> headers{};               ///< sent with every request to this target, and to no other
  std::vector<std::string> forward_headers{};  ///< which of `ChatRequest::headers` this target gets, in any case
  /// A JSON object that is laid over the body of every request (a merge patch, RFC 7396: null takes a field out), for
  /// what only this target has: `{"safe_prompt": true}`. It may not hold what the conversation is written to (`model`,
  /// `messages`, `contents`, `input`, `tools`, `stream`).
  std::string extra_body{};
  /// A gateway that can be told not to fail over by itself (OpenRouter, LiteLLM) is told so, so that its attempts and
  /// the client's do not multiply. True: it is not.
  bool gateway_failover = false;
  AnswerLimits answer_limits{};
  HttpOptions http{};  ///< how connections to this target are made, in place of the runtime's
  // What the catalogue does not know, or knows differently.
  std::optional<Price> price{};
  std::optional<std::int64_t> context_window{};
  std::optional<std::int64_t> max_output_tokens{};
  std::optional<Capabilities> capabilities{};
  std::string failure_domain{};  ///< see `ModelFacts::failure_domain`
};

}  // namespace backstop::inline v0
