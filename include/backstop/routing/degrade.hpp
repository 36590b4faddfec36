#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/runtime/clock.hpp"
#include "backstop/state/answer_cache.hpp"

namespace backstop::inline v0 {

/// One thing that may be given up so that a target can answer; made by the functions of `degrade`.
struct Rung {
  enum class Kind : std::uint8_t { images, documents, reasoning, json_schema, history, tools, output, cached, canned };

  Kind kind = Kind::images;
  int keep_turns = 6;             ///< with `history`
  std::optional<Provider> summarized_by{};  ///< with `history`
  std::int64_t summary_tokens = 512;        ///< with `history`
  bool keep_tool_history = true;  ///< with `tools`
  std::optional<AnswerCache> answers{};        ///< with `cached`
  Duration max_age = std::chrono::hours{24};   ///< with `cached`
  std::string shared_as{};        ///< with `cached`
  std::string text{};             ///< with `canned`
};

/// The name that policy files have for it, such as "images".
[[nodiscard]] BACKSTOP_EXPORT std::string_view to_string(Rung::Kind kind) noexcept;

/// What is wrong with a ladder, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const std::vector<Rung>& ladder);

struct HistoryRungOptions {
  int keep_turns = 6;  ///< the newest, which stay whole; a result of a tool brings the turn with its call
  /// Writes a summary of the turns that are left out, which stands in their place. It is a provider with a stack of its
  /// own, such as `haiku | timeout(10s)`. Unset: nothing stands there but how many they were.
  std::optional<Provider> summarized_by{};
  std::int64_t summary_tokens = 512;  ///< the longest that it may be
};

struct ToolsRungOptions {
  /// Calls and results that the conversation has become text. False: they are left out.
  bool keep_history = true;
};

struct CachedRungOptions {
  Duration max_age = std::chrono::hours{24};  ///< what is older is not given
  /// Looks for what `cache({.shared = ..., .shared_as = ...})` keeps under that name, and keeps nothing by itself. How
  /// long those stay behind their time the `AnswerCache` says.
  std::string shared_as{};
};

/// The rungs of `FallbackOptions::degrade`: what a request may give up, in the order in which the application can do
/// without it.
///
/// When a call has asked all targets that can do the whole request, or none can, it goes down the ladder rung by rung,
/// and asks with each the targets that can do what is left. A target gives up only what it lacks of the rungs so far:
/// one that sees keeps the images. Rungs that would change nothing are passed over. What was given up stands in
/// `ChatResponse::degradation`, and is an event of a stream before any content that comes of it: the first one, or, where
/// another target with less to go by continues an answer that broke off (`mid_stream = resume`), one between its pieces.
///
/// A client inside another takes its own rungs before the other takes its own, when those of the other's targets have
/// been asked that lack nothing. Answers of a ladder's own (`cached`, `canned`) are left to the outermost client (those
/// behind a quality floor within a client are not given, as they would go round it), which
/// gives one: its own, else that of the first client inside that has one.
///
/// Such an answer takes the place of a failure of the targets, of caps and limits, and of the deadline. The call fails
/// all the same where its request is at fault (`invalid_request`; `content_filtered`, unless
/// `FallbackOptions::fall_back_on_content_filter`), where it was cancelled, and once content was delivered.
///
/// Example: `FallbackClient{{...}, {.degrade = {degrade::images(), degrade::canned("Sorry.")}}}`
namespace degrade {

/// Text in the place of each image says what was there.
[[nodiscard]] BACKSTOP_EXPORT Rung images();
/// The same for documents.
[[nodiscard]] BACKSTOP_EXPORT Rung documents();
/// No effort at reasoning is asked for.
[[nodiscard]] BACKSTOP_EXPORT Rung reasoning();
/// A system text states the schema of the answer; the provider does not hold it to it, so a check should.
/// `ChatRequest::response_format` stays in the request for that, `by_instruction`.
[[nodiscard]] BACKSTOP_EXPORT Rung json_schema();
/// Where the conversation does not fit a window: results of tools are left out, the oldest first, then turns, the
/// oldest first, as few as it takes. System texts, the newest turn of the user and the newest `keep_turns` stay.
///
/// With `summarized_by` the turns that a target is to do without go to that provider first, as material. It is asked once
/// in a call, by each client with such a ladder, and its summary serves the targets that come later, too. Its send
/// counts among those of the call, obeys the caps around the client, and stands in the ledger with `Attempt::summary`
/// set; sends and time that the targets to come need are kept for them. Where it fails, or there is no room for it, and
/// for a hedge that begins before there is a summary and a probe of a target that is out, the turns are left out without
/// one. The notice says which.
[[nodiscard]] BACKSTOP_EXPORT Rung history(HistoryRungOptions options = {});
/// No tools are offered.
[[nodiscard]] BACKSTOP_EXPORT Rung tools(ToolsRungOptions options = {});
/// Where a provider said that input and output together do not fit its window: the output limit is lowered to what the
/// window leaves beside the input and a quarter of that, or to half where that is not known or was no help; 256 tokens
/// at least. Without a limit in the request it is that of `ModelFacts::max_output_tokens` (of a client inside the most
/// that is known of a target). A limit above what the model writes at most is lowered without a rung.
[[nodiscard]] BACKSTOP_EXPORT Rung output();
/// When no target answers, as said above: the last answer to the same request of the same user, if it is not older than
/// `max_age`. The client keeps its complete and undegraded answers there. Clients with the same `AnswerCache` answer
/// for each other.
[[nodiscard]] BACKSTOP_EXPORT Rung cached(AnswerCache answers, CachedRungOptions options = {});
/// When no target answers, as said above: this text, of the target `local/canned`. It stands last.
[[nodiscard]] BACKSTOP_EXPORT Rung canned(std::string text);

}  // namespace degrade

}  // namespace backstop::inline v0
