#pragma once

#include <cstddef>

#include "fault_script.hpp"
#include "fault_wire.hpp"

/// Streams as some servers really send them, to the dismay of naive parsers. Plain requests get a healthy answer
/// unless something else is said.
namespace backstop::faults {

// Odd, and to be understood all the same.

/// Lines end with CR LF.
[[nodiscard]] Behaviour crlf_events(Answer what = {});

/// A comment before every event, and an empty one; a blank line where lines of JSON have no comments.
[[nodiscard]] Behaviour comments_between(Answer what = {});

/// So many blanks before the answer, which keep the connection alive: line ends before events, spaces before JSON.
[[nodiscard]] Behaviour blanks_before(std::size_t count = 3000, Answer what = {});

/// No space after the colon of `data:`.
[[nodiscard]] Behaviour tight_fields(Answer what = {});

/// The closing events come twice, all but the terminal marker.
[[nodiscard]] Behaviour finish_twice(Answer what = {});

/// `[DONE]`, but no finish reason.
[[nodiscard]] Behaviour done_without_finish(Answer what = {});

// Errors within a stream under status 200, in shapes of their own, after that much content. Nothing follows.

/// A field of the name `error`, which a parser by the book ignores.
[[nodiscard]] Behaviour error_field_after(std::size_t after, Answer what = {});

/// A JSON document without `data:`.
[[nodiscard]] Behaviour bare_error_after(std::size_t after, Answer what = {});

/// An event with an error, a choice and a finish reason, then `[DONE]`.
[[nodiscard]] Behaviour error_beside_choices_after(std::size_t after, Answer what = {});

/// `{"object":"error","message":...}`.
[[nodiscard]] Behaviour flat_error_after(std::size_t after, Answer what = {});

/// Nothing but `[DONE]`.
[[nodiscard]] Behaviour done_only();

}  // namespace backstop::faults
