#pragma once

#include <string>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

/// Appends everything in a request that has a say in its answer, so that two requests with the same text ask the same:
/// all but the trace context, tags and ids that are only carried along. The user's id stands in it on request.
void append_key(std::string& key, const ChatRequest& request, bool with_user);

}  // namespace backstop::inline v0::detail
