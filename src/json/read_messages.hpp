#pragma once

#include <vector>

#include "backstop/chat/message.hpp"
#include "json/node.hpp"

namespace backstop::inline v0::detail {

/// A conversation in the form of OpenAI Chat Completions; complaints go to the node's document.
[[nodiscard]] std::vector<Message> read_messages(const Node& node);

}  // namespace backstop::inline v0::detail
