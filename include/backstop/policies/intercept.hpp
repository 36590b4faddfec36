#pragma once

#include <functional>
#include <optional>
#include <string>

#include "backstop/export.hpp"
#include "backstop/policy.hpp"

namespace backstop::inline v0 {

/// A request on its way in: looking at it costs nothing, changing it copies it once.
class RequestEdit {
 public:
  BACKSTOP_EXPORT RequestEdit(const ChatRequest& request, const Target& target) noexcept;

  [[nodiscard]] const ChatRequest& operator*() const noexcept { return copy_ ? *copy_ : *original_; }
  [[nodiscard]] const ChatRequest* operator->() const noexcept { return &**this; }
  /// The copy that goes on from here; the caller's own request stays as it is.
  [[nodiscard]] BACKSTOP_EXPORT ChatRequest& edit();
  /// The target of the provider inside.
  [[nodiscard]] const Target& target() const noexcept { return *target_; }

 private:
  const ChatRequest* original_;
  const Target* target_;
  std::optional<ChatRequest> copy_;
};

/// The application's own code around a call. At least one of the three is needed; given several, `around` stands
/// between the other two.
struct InterceptOptions {
  /// Changes the request, or refuses it with an error: then nothing is sent, and `around` and `after` are not asked.
  std::function<Result<void>(RequestEdit&)> before{};
  /// Sees the request that was sent and what came of it, and may replace that: an error by an answer or the other way
  /// round. What has been streamed is not taken back, nor what a `hold` further out keeps back of it.
  std::function<void(const ChatRequest&, Result<ChatResponse>&)> after{};
  /// A coroutine that calls `next.call(request, context)`, once, several times or not at all, and returns the result.
  /// Where a call after the first streams, its answer takes the place of what has been streamed (`restarted`); after a
  /// complete tool call it fails. The rules for coroutines hold (examples/README.md, "A policy of your own"); its
  /// arguments outlive it.
  std::function<Task<Result<ChatResponse>>(const Provider& next, const ChatRequest&, CallContext&)> around{};
  std::string name = "intercept";  ///< in descriptions
};

/// Lets the application look at and change requests (`before`), results (`after`), or both in one coroutine (`around`).
///
/// Where it stands says what it sees: inside `retry` every attempt, around a fallback client every call. It works
/// alike for streams; an answer that the application puts in place of what was not streamed is streamed whole. Where it
/// puts an error in place of an answer, the ledger has one row more, which was not sent and says why.
///
/// Errors: what `before` refuses with; an exception out of the application's code fails the call with
/// `invalid_request` and its words, a `BadResult` with the error in it. std::invalid_argument when nothing is given.
/// Thread safety: as every policy; the functions may be called for several calls at the same time, on the threads that
/// drive them, and must not block.
/// Cost: of the functions, and for `around` one frame of a coroutine more.
///
/// Example: `openai({...}) | intercept({.before = [](RequestEdit& request) -> Result<void> {
///             if (request->messages.size() > 200) return Error{ErrorKind::invalid_request, "too long a talk"};
///             request.edit().metadata.tags.emplace_back("team", "search");
///             return {};
///           }})`
[[nodiscard]] BACKSTOP_EXPORT Policy intercept(InterceptOptions options);

}  // namespace backstop::inline v0
