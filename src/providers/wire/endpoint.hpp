#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/providers/answer_limits.hpp"
#include "backstop/providers/credentials.hpp"

namespace backstop::inline v0::detail {

/// Where an adapter sends to, its options resolved.
struct Endpoint {
  Target target;
  std::string provider;  ///< whose quirks apply, whatever the target's name is
  std::string base_url;  ///< without a trailing slash
  std::string api_key;   ///< empty: none is sent
  std::string key_hint;  ///< how to set the key, for the error where one is needed and missing
  std::string key_note;  ///< which of several keys it is, for the ledger: "key 2 of 3"
  std::string access_key_id;  ///< set: `api_key` is a secret to sign with, and does not go out itself
  std::string session_token;  ///< goes along with the signature; empty: none
  Credentials credentials;  ///< several keys, or one that is fetched, in place of `api_key`
  bool needs_key = true;
  bool reports_usage_in_streams = false;  ///< known to: a plain call may ask for a stream
  std::vector<Header> headers;               ///< this target's own, added to every request
  std::vector<std::string> forward_headers;  ///< names of the request's headers that this target gets
  std::string extra_body;                    ///< a JSON object, laid over each body; empty: nothing
  bool gateway_failover = false;             ///< a gateway is not told to leave failing over to us
  AnswerLimits answer_limits;
  std::optional<HttpOptions> http;  ///< where the target has some
};

}  // namespace backstop::inline v0::detail
