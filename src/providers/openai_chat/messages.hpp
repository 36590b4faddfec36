#pragma once

#include <string_view>
#include <vector>

#include "backstop/chat/message.hpp"
#include "backstop/chat/result.hpp"
#include "dialect.hpp"
#include "providers/wire/json_writer.hpp"

namespace backstop::inline v0::detail {

/// Writes a conversation as the array of Chat Completions. `system_role` is the role of system text.
///
/// Reasoning goes along only to the provider that it came from, where the dialect has a field for it. A failed tool
/// result has "Error: " before its text, since the wire has no other way to say so.
///
/// Errors: `invalid_request` for parts that do not belong into their message, `unsupported_capability` for documents
/// by address where the dialect has none.
/// `plain_image_urls`: `image_url` is the address itself; then there is no place for the detail.
[[nodiscard]] Result<void> write_openai_messages(JsonWriter& json, const std::vector<Message>& messages,
                                                 const Target& target, const OpenAiDialect& dialect,
                                                 std::string_view system_role, bool plain_image_urls = false);

}  // namespace backstop::inline v0::detail
