#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/stream_event.hpp"
#include "backstop/export.hpp"

/// Conversions between the vocabulary and JSON.
///
/// Requests have the form of OpenAI Chat Completions with a few keys of our own; answers and errors have the form
/// that `backstop-chat --json` prints. `nlohmann::ordered_json` keeps the order of keys, which models follow when they
/// fill in a schema; it converts to `nlohmann::json` by itself.
///
/// Errors: what cannot be read is `invalid_request` with a message that names the place (`messages[2].role`) and what
/// is accepted there. Nothing here throws on bad input. Text that is not UTF-8 is passed through; write it out with
/// `json_text`, since `dump()` without an error handler throws on it.
namespace backstop::inline v0 {

/// The request as a JSON object; `request_from_json` reads it back. What is not set is left out.
///
/// A message whose parts the chat form has no order for comes out as reasoning, content, tool calls; a message with
/// several tool results as that many messages.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const ChatRequest& request);

/// A conversation as a JSON array, for storing it; `messages_from_json` reads it back.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const std::vector<Message>& messages);

/// Keys: `messages`, `tools`, `tool_choice`, `parallel_tool_calls`, `response_format`, `max_output_tokens`,
/// `temperature`, `top_p`, `top_k`, `frequency_penalty`, `presence_penalty`, `seed`, `stop`, `reasoning_effort`,
/// `service_tier`, `metadata`, `headers`, `extra` (objects by whom they are for), `keep_raw`; `cache` also in messages,
/// parts, calls and tools. A key whose value is null counts as absent, an unknown one is an error.
[[nodiscard]] BACKSTOP_EXPORT Result<ChatRequest> request_from_json(const nlohmann::ordered_json& json);
[[nodiscard]] BACKSTOP_EXPORT Result<ChatRequest> request_from_json(const nlohmann::json& json);

/// The same from text. Broken JSON is reported with its line and column.
[[nodiscard]] BACKSTOP_EXPORT Result<ChatRequest> request_from_text(std::string_view text);

[[nodiscard]] BACKSTOP_EXPORT Result<std::vector<Message>> messages_from_json(const nlohmann::ordered_json& json);
[[nodiscard]] BACKSTOP_EXPORT Result<std::vector<Message>> messages_from_json(const nlohmann::json& json);

/// The whole outcome of a call, every key present, null where it is not known; and `raw` where it was kept.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json result_to_json(const Result<ChatResponse>& result);
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const ChatResponse& response);

/// What stands under `error` in the outcome: `kind`, `message`, `target`, `http_status`, `code`, `request_id`,
/// `retry_after_ms`, `committed`, `partial_text`.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const Error& error);

/// One row under `attempts`: `target`, `outcome`, `http_status`, `waited_ms`, `ttft_ms`, `elapsed_ms`, `cost_usd`,
/// `reason`. The cost is null where the model answered and its price is not known.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const Attempt& attempt);

[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const Usage& usage);
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const Degradation& degradation);
/// `id`, `name` and `arguments`, the latter as `arguments_to_json` has them.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const ToolCall& call);

/// An event as `backstop-chat --stream --json` prints it on a line, such as `{"event": "text", "delta": "..."}`;
/// null for those that are no line there: `tool_call_delta`, `progress`, and the two that end the stream.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json to_json(const StreamEvent& event);

/// A tool call's arguments as an object. Nothing and `null` are `{}`; what is no JSON object, or is nested more than
/// 500 levels deep, becomes `{"rawInvalidInput": text}`. A number that no type of C++ holds exactly, such as an integer
/// above 2^64, becomes a string with U+FDD0 in front, which `json_text` writes as the number that it was.
[[nodiscard]] BACKSTOP_EXPORT nlohmann::ordered_json arguments_to_json(std::string_view arguments);

/// JSON as text on one line, or indented by that many spaces. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] BACKSTOP_EXPORT std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace backstop::inline v0
