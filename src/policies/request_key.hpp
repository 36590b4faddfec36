#pragma once

#include <string>

#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {

/// The targets behind a provider, as a part of a key.
[[nodiscard]] std::string key_of_targets(const Provider& provider);

/// Appends everything in a request that has a say in its answer, so that two requests with the same text ask the same:
/// all but the trace context, tags and ids that are only carried along. The user's id stands in it on request.
void append_key(std::string& key, const ChatRequest& request, bool with_user);

}  // namespace backstop::inline v0::detail
