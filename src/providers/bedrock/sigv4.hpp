#pragma once

#include <string>
#include <string_view>

#include "backstop/chat/result.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/runtime/http_transport.hpp"

namespace backstop::inline v0::detail {

/// Who signs, and for what.
struct AwsSigner {
  std::string_view access_key_id;
  std::string_view secret_access_key;
  std::string_view session_token;  ///< empty: none
  std::string_view region;
  std::string_view service;
};

/// Signs a POST with AWS's Signature Version 4: sets `x-amz-date`, `x-amz-security-token` and `authorization`. What is
/// signed are the address, the body, and of the header fields `content-type`, `host` and those that begin with
/// `x-amz-`.
///
/// The path is signed with each segment encoded once more, as every service but S3 wants it. `now`: AWS refuses what is
/// more than five minutes off.
///
/// Errors: `authentication` where the build cannot compute digests, and without a region.
///
/// Source: AWS Identity and Access Management, "Create a signed AWS API request".
[[nodiscard]] Result<void> sign_request(HttpRequest& http, const AwsSigner& signer, WallTime now);

/// The text that is hashed and signed, with the digest of the body in hexadecimal. For tests, too.
struct CanonicalRequest {
  std::string text;
  std::string signed_headers;
};
[[nodiscard]] CanonicalRequest canonical_request(const HttpRequest& http, std::string_view body_digest);

}  // namespace backstop::inline v0::detail
