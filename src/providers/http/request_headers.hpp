#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "providers/wire/endpoint.hpp"

namespace backstop::inline v0::detail {

/// Adds the header fields that go with a request whatever its wire: `content-type`, what it accepts, the trace context
/// and the application's request id (`x-client-request-id`), those of the request's headers that
/// `endpoint.forward_headers` names, and the endpoint's own. A later source replaces a field of an earlier one, but a
/// forwarded header never replaces what carries a key (`authorization`, `x-api-key`, `api-key` and the like) nor what
/// belongs to the connection (`host`, `content-length` and the like). The wire adds its key before calling this.
///
/// Errors: `invalid_request` for a value that cannot stand in a header.
[[nodiscard]] Result<void> add_headers(HttpRequest& http, const ChatRequest& request, const Endpoint& endpoint,
                                       std::string_view accept);

/// The address of a path below the base address. The two may have a query each (`?alt=sse`, Azure's `?api-version=`):
/// both stand at the end, the base address's last.
[[nodiscard]] std::string address_below(std::string_view base_url, std::string_view path);

/// Sets a field, in the place of one of the same name in any case.
void set_header(HttpRequest& http, std::string_view name, std::string_view value);

/// Gives the request a span of its own within the trace that its `traceparent` names; nothing without one.
void renew_span(HttpRequest& http, std::uint64_t random);

/// RFC 9110: letters, digits and some marks; and for values no control characters.
[[nodiscard]] bool is_header_name(std::string_view name) noexcept;
[[nodiscard]] bool is_header_value(std::string_view value) noexcept;

}  // namespace backstop::inline v0::detail
