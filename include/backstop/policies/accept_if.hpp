#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/policy.hpp"

namespace backstop::inline v0 {

struct AcceptOptions {
  /// How often the same target is asked again after a refused answer, with that answer as its own turn and the reasons
  /// as the user's; of a client the target that gave the answer. Not where the call has no sends or time left for it:
  /// some of both is kept for the targets still to come. Not of an answer that another target has begun.
  int repair = 0;
  /// What the user's turn says; `{reasons}` stands for the reasons.
  std::string repair_wording = "Your answer was not accepted: {reasons}. Answer the request again, without that fault.";
  /// Holds streams back also where the client around would begin them anew (`mid_stream = restart`).
  bool always_hold = false;
};

/// What is wrong with the options, and what would be accepted; empty when nothing is.
[[nodiscard]] BACKSTOP_EXPORT std::string problem_with(const AcceptOptions& options);

/// A quality floor: a complete answer that the check does not accept becomes an error of kind `rejected_response`, and
/// a client goes on to its next target. Cheap targets with a floor before a dear one make a cascade:
/// `FallbackClient{deepseek | accept_if(matches_schema()), sonnet}`.
///
/// - The row of the attempt says `rejected_response` and why; its cost stays. Breakers count it as a success, and the
///   target does not cool down. Observers were told of the attempt when it ended, as answered; the event of the call
///   has the row as it is now.
/// - A stream is held until the check has passed and then handed over in one piece, so that its consumer sees one
///   clean answer. Where the innermost client around has `mid_stream = restart` and the request has no tools it is
///   handed over as it comes, and a refusal is `stream_interrupted` with `rejected_response` as its cause.
/// - Where the check itself fails (its code throws, or the call ends while a judge is at work) the row says that failure
///   and why.
/// - A repair that fails leaves the refusal standing.
/// - An answer that goes on where another target has broken off (`mid_stream = resume`) is judged as a whole.
///
/// It may stand around a target or around a whole client.
///
/// Errors: std::invalid_argument with `problem_with(options)`; a request whose schema the check cannot judge by is
/// `invalid_request`, not sent. Thread safety: as every policy. Cost: of the checks; a held answer is kept once.
/// Example: `deepseek | standard() | accept_if(matches_schema() && finished(), {.repair = 1})`
[[nodiscard]] BACKSTOP_EXPORT Policy accept_if(Check check, AcceptOptions options = {});

}  // namespace backstop::inline v0
