#pragma once

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "endpoint.hpp"

namespace backstop::inline v0::detail {

/// Adds the header fields that go with a request whatever its wire: `content-type` and `accept`, the trace context
/// and the application's request id, those of the request's headers that `endpoint.forward_headers` names, and the
/// endpoint's own. A later source replaces a field of an earlier one, except that forwarded headers never replace what
/// carries a key (`authorization`, `x-api-key`, `api-key` and the like). The wire adds its key before calling this.
///
/// Errors: `invalid_request` for a name or value that cannot stand in a header.
[[nodiscard]] Result<void> add_headers(HttpRequest& http, const ChatRequest& request, const Endpoint& endpoint,
                                       bool stream);

}  // namespace backstop::inline v0::detail
