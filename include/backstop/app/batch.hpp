#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "backstop/call/call_options.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

class FallbackClient;

/// One request of a batch.
struct BatchRequest {
  /// Unique in the batch; empty: its number, from 1. With a log it is best one of the request's own: numbers are others
  /// when requests were put in or taken out between two runs.
  std::string id{};
  ChatRequest request{};
};

/// Where the requests of a batch come from, one after the other, so that never more of them are kept than are under
/// way.
struct BatchSource {
  std::function<std::optional<BatchRequest>()> next;  ///< the next one; nothing after the last
  std::optional<std::size_t> size{};                  ///< how many there are, where that is known
};

/// What came of one request.
struct BatchResult {
  std::size_t index = 0;  ///< from 0, in the order of the source
  std::string id;
  Result<ChatResponse> reply;
};

/// A batch at one moment.
struct BatchProgress {
  std::size_t done = 0;      ///< answered, by this run or an earlier one
  std::size_t from_log = 0;  ///< of these, by an earlier one
  std::size_t failed = 0;    ///< of this run
  std::size_t running = 0;
  std::optional<std::size_t> left{};  ///< not begun yet; empty where the source does not tell its size
  Money spent{};             ///< on all attempts, those of earlier runs in the log too
  bool cost_known = true;    ///< false where the price of an attempt is not known
  std::chrono::nanoseconds elapsed{0};  ///< of this run
  bool complete = false;     ///< every request has had its turn; false after a stop
};

/// For people: "12 done, 1 failed, 16 running, 471 left, $0.0123".
[[nodiscard]] BACKSTOP_EXPORT std::string to_string(const BatchProgress& progress);

struct BatchOptions {
  int concurrency = 16;  ///< calls at the same time, at least 1
  /// Of each call. A requested stop ends those under way, and no other begins.
  CallOptions call{};
  /// For the whole batch, with what earlier runs in the log have spent: each send's worst case is reserved, as by
  /// `cost_cap`, so that it is not exceeded; calls wait for each other's reservations. What does not fit fails with
  /// `budget_exceeded`; with $0 that is everything but targets that cost nothing.
  std::optional<Money> budget{};
  /// A file of JSON lines that each result is appended to when it comes, answers included. What has an answer there is
  /// not sent again, so that another run with the same file does only what is missing. A line has the id and a hash of
  /// what was asked (all but metadata, headers and `keep_raw`): a request whose id stands there with the answer to
  /// another one is not sent, and its result is `invalid_request`. Lines without a hash, of earlier versions, answer
  /// any request of their id. One batch at a time has the file; an id that is no UTF-8 stands there with U+FFFD in place
  /// of what is not. Empty: none.
  std::string log{};
  std::function<void(const BatchProgress&)> on_progress{};  ///< called after each result
};

/// Asks all requests, some at the same time. They begin in their order; results come as they are there.
///
/// The source, `on_result` and `on_progress` are called on the calling thread, and what they throw goes to the caller,
/// after the calls under way were cancelled; what these have cost stands in the log. A request that fails does not end
/// the batch. `on_result` gets the results of this run, not those that the log had.
///
/// Errors: `invalid_request` for a log that cannot be read, with its line, or written, or that another batch has open,
/// and, with a log, for an id that stands there twice; what was under way is then cancelled. std::invalid_argument for a
/// concurrency below 1 and for a budget below $0.
/// Cost: memory for as many requests as run, and with a log for all ids.
///
/// Example: `batch(client, prompts, {.concurrency = 8, .log = "answers.jsonl"}, [](const BatchResult& one) { ... });`
[[nodiscard]] BACKSTOP_EXPORT Result<BatchProgress> batch(const FallbackClient& client, BatchSource source,
                                                          const BatchOptions& options,
                                                          const std::function<void(const BatchResult&)>& on_result);

/// The same with a range of `BatchRequest`, or of what makes a `ChatRequest`: texts, conversations. It must outlive the
/// call.
template <std::ranges::input_range Requests>
[[nodiscard]] Result<BatchProgress> batch(const FallbackClient& client, Requests&& requests,
                                          const BatchOptions& options,
                                          const std::function<void(const BatchResult&)>& on_result) {
  BatchSource source;
  if constexpr (std::ranges::sized_range<Requests>) source.size = static_cast<std::size_t>(std::ranges::size(requests));
  auto at = std::ranges::begin(requests);
  const auto end = std::ranges::end(requests);
  source.next = [&at, &end]() -> std::optional<BatchRequest> {
    if (at == end) return std::nullopt;
    BatchRequest one;
    if constexpr (std::is_convertible_v<std::ranges::range_reference_t<Requests>, BatchRequest>) {
      one = *at;
    } else {
      one.request = ChatRequest{*at};
    }
    ++at;
    return one;
  };
  return batch(client, std::move(source), options, on_result);
}

/// One line of a file of requests: an object in the form of OpenAI's batches (`custom_id`, `url`, `body`), a request as
/// `request_from_json` reads it, with a `custom_id` if it has one, or, where it begins with no brace, a prompt as it
/// stands; a prompt that begins with `{` has to be written as a request. The `model` of a body is not used: a client's
/// targets have theirs.
/// Errors: `invalid_request` with the place in the line.
[[nodiscard]] BACKSTOP_EXPORT Result<BatchRequest> batch_request_from_line(std::string_view line);

/// The lines of a file; empty ones do not count. It is read through once, so that the size is known and a line that is
/// wrong shows before anything is sent, and then line by line.
/// Errors: `invalid_request` with the line's number, or why the file cannot be read. The source throws
/// std::runtime_error where the file cannot be read to its end later, or has been changed into what is no request.
[[nodiscard]] BACKSTOP_EXPORT Result<BatchSource> batch_file(const std::string& path);

}  // namespace backstop::inline v0
