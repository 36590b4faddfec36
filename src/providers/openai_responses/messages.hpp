#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "providers/wire/json_writer.hpp"

namespace backstop::inline v0::detail {

/// The proof of origin of a reasoning item: its id, where it has one, and its encrypted content, which holds no blank.
[[nodiscard]] std::string reasoning_signature(std::string_view id, std::string_view encrypted_content);

/// The system text in front of the conversation, for `instructions`. Empty where there is nothing but system text: that
/// is the input then, which must not be empty.
[[nodiscard]] std::string leading_instructions(const std::vector<Message>& messages);

/// Writes what follows those instructions as the list of input items. `system_role` is the role of system text.
///
/// Nothing gets an id but reasoning, which goes along only to the target that it came from, with its proof, and only in
/// front of what it led to: the server refuses it otherwise. A failed tool result has "Error: " before its text, since
/// the wire has no other way to say so.
///
/// Errors: `invalid_request` for a conversation without content, and for parts that do not belong into their message.
[[nodiscard]] Result<void> write_responses_input(JsonWriter& json, const std::vector<Message>& messages,
                                                 const Target& target, std::string_view system_role);

}  // namespace backstop::inline v0::detail
