#pragma once

#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "providers/wire/endpoint.hpp"

namespace backstop::inline v0::detail {

/// Whether that is for this target, by its name, its provider's or its wire's.
[[nodiscard]] bool is_meant_for(const Extra& extra, const Endpoint& endpoint, std::string_view wire) noexcept;

/// Lays the target's own fields (`ModelOptions::parameters`) and those that the request has for it
/// (`ChatRequest::extra`) over a body. One that has none stays as it is, byte for byte.
///
/// Errors: `invalid_request` for a field that the body has already, naming it and where it comes from, and for fields
/// that are no JSON object.
[[nodiscard]] Result<void> add_own_fields(std::string& body, const ChatRequest& request, const Endpoint& endpoint,
                                          std::string_view wire);

}  // namespace backstop::inline v0::detail
