#pragma once

namespace bench {

/// What a call and a streamed event cost on each wire, against OpenAI's chat wire: `wire.<name>.call`, `.event`. The
/// same answer over loopback, through the standard stack.
void wires();

}  // namespace bench
