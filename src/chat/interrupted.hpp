#pragma once

#include "backstop/chat/error.hpp"

namespace backstop::inline v0::detail {

/// A failure after content had reached the consumer is `stream_interrupted`, with what it was as its cause.
inline void interrupt_stream(Error& error) noexcept {
  error.cause = error.kind;
  error.kind = ErrorKind::stream_interrupted;
}

}  // namespace backstop::inline v0::detail
