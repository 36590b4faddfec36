#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "fault_script.hpp"
#include "fault_wire.hpp"

namespace backstop::faults {

// Healthy answers. A path that is no wire's gets 404, a body that is no JSON 400.

/// Answers as the request asks, plain or streamed.
[[nodiscard]] Behaviour answer(Answer what = {});

/// Likewise, with this text. (A template so that `answer({.text = ...})` means the one above.)
template <std::convertible_to<std::string> Text>
[[nodiscard]] Behaviour answer(Text text) {
  return answer(Answer{.text = std::move(text)});
}

/// Answers with a call of one tool and no text; `arguments` is JSON text.
[[nodiscard]] Behaviour tool_call(std::string name, std::string arguments, std::string id = "call_1");

/// Thinks aloud before it answers.
[[nodiscard]] Behaviour reasoning(std::string thoughts, std::string text);

// Refusals with an HTTP status. Bodies are in the words of the request's wire (the OpenAI one for other paths).

/// Any status. An empty `body` becomes an error body that fits the status.
[[nodiscard]] Behaviour status(int code, HeaderList headers = {}, std::string body = {});

/// 429 with `retry-after`.
[[nodiscard]] Behaviour rate_limited(std::chrono::seconds retry_after = std::chrono::seconds{1});

/// Out of money: 429 `insufficient_quota`, 402, or the Anthropic wire's 400 about the credit balance.
[[nodiscard]] Behaviour quota_exhausted();

/// 503, or the Anthropic wire's 529 `overloaded_error`.
[[nodiscard]] Behaviour overloaded(HeaderList headers = {});

/// 401: wrong key; on Google's wire 400.
[[nodiscard]] Behaviour unauthorized();

/// 400: the prompt does not fit the model's window.
[[nodiscard]] Behaviour context_too_long();

/// 400: the prompt is against the provider's rules, which is said in these words.
[[nodiscard]] Behaviour content_filtered(std::string reason = "The prompt was flagged by the content policy.");

/// Answers, but refuses with 400 to go on from an assistant turn at the conversation's end.
[[nodiscard]] Behaviour refuses_prefill(Answer what = {});

/// 404: no such model.
[[nodiscard]] Behaviour model_not_found();

/// 502 with a gateway's HTML page.
[[nodiscard]] Behaviour html_502();

// Connections that fail.

/// Takes the request and never answers.
[[nodiscard]] Behaviour silence();

/// FIN without a byte: right after accepting, or in place of an answer on a connection that stands.
[[nodiscard]] Behaviour accept_and_close();

/// FIN without a byte, after the request was read.
[[nodiscard]] Behaviour close_after_request();

/// RST in place of an answer.
[[nodiscard]] Behaviour reset_before_headers();

/// RST after status line and headers.
[[nodiscard]] Behaviour reset_after_headers();

// Answers that break. `after` counts events with content (see `StreamPart`); opening frames are sent before them.
// If the answer is plain, half of its body is sent instead, with the `content-length` of the whole.

/// FIN, without the last chunk and the terminal marker.
[[nodiscard]] Behaviour cut_stream(std::size_t after, Answer what = {});

/// RST.
[[nodiscard]] Behaviour reset_stream(std::size_t after, Answer what = {});

/// Silence on an open connection.
[[nodiscard]] Behaviour stall_stream(std::size_t after, Answer what = {});

/// Silence for that long, then FIN.
[[nodiscard]] Behaviour stall_then_close(std::size_t after, std::chrono::milliseconds silence, Answer what = {});

/// Half of a body that `content-length` announces whole, then FIN; streams too are sent with a length here.
[[nodiscard]] Behaviour truncated_body(Answer what = {});

// Streams that are wrong though HTTP is right. If the answer is plain, see each.

/// All content, then a clean end of the body: no finish reason, no terminal marker. Plain: healthy.
[[nodiscard]] Behaviour end_without_done(Answer what = {});

/// A whole stream, finish reason and usage included, but for `[DONE]`; the connection then ends the body as HTTP wants
/// it, or stays as it is. Healthy on the other wires, and plain.
[[nodiscard]] Behaviour without_done(Answer what = {}, bool stays_open = false);

/// An error event after that much content, then a clean end; 0 makes it the first event of the stream.
/// Without `error` it says that the server is overloaded. Plain: status 200 with an error body.
[[nodiscard]] Behaviour error_event_after(std::size_t after, std::optional<ErrorWords> error = {}, Answer what = {});

/// An event that is no JSON after that much content, then the rest. Plain: a body that is no JSON.
[[nodiscard]] Behaviour malformed_json(std::size_t after = 0, Answer what = {});

/// Keep-alives for ever, no content. Plain: silence.
[[nodiscard]] Behaviour pings_only(std::chrono::milliseconds interval);

/// Success without an answer: `choices: []`, or an answer with nothing in it.
[[nodiscard]] Behaviour empty_choices();

/// A plain JSON answer even if a stream was asked for.
[[nodiscard]] Behaviour ignores_stream(Answer what = {});

// Odd HTTP.

/// A healthy answer with one header of that many bytes.
[[nodiscard]] Behaviour huge_header(std::size_t bytes = 200'000);

/// These bytes and nothing else, then FIN unless the connection is to stay.
[[nodiscard]] Behaviour raw(std::string bytes, bool close = true);

// Behaviours made of others.

/// Waits before the first byte.
[[nodiscard]] Behaviour slow_headers(std::chrono::milliseconds delay, Behaviour inner = answer());

/// With these headers too, in front of its own.
[[nodiscard]] Behaviour with_headers(HeaderList headers, Behaviour inner = answer());

/// One limit in an answer's headers.
struct ToldLimit {
  long long limit = 0;
  long long remaining = 0;
  std::chrono::seconds reset_after{0};
};

/// With the rate-limit headers of the request's wire: `x-ratelimit-*` and spans ("6m0s"), or `anthropic-ratelimit-*`
/// and dates.
[[nodiscard]] Behaviour with_rate_limits(ToldLimit requests, ToldLimit tokens, Behaviour inner = answer());

/// An outage: like `down` for that long, counted from the first request, then like `up`.
[[nodiscard]] Behaviour down_for(std::chrono::milliseconds span, Behaviour down, Behaviour up = answer());

/// One byte per write; with a pause after each unless it is zero.
[[nodiscard]] Behaviour dribble(Behaviour inner = answer(), std::chrono::milliseconds pause = {});

/// Everything between two pauses in one write.
[[nodiscard]] Behaviour coalesced(Behaviour inner);

/// Renders the script once for each path and `stream` flag and replays these bytes, whatever else the request says:
/// the cheapest peer, for benchmarks.
[[nodiscard]] Behaviour memoised(Behaviour inner);

}  // namespace backstop::faults
