#include "runtime/exception_error.hpp"

#include <exception>
#include <new>
#include <string>

#include "backstop/chat/result.hpp"
#include "chat/interrupted.hpp"

namespace backstop::inline v0::detail {

namespace {

Error told(std::string_view who) {
  Error error;
  error.kind = ErrorKind::server_error;
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const BadResult& bad) {
    error = bad.error();
  } catch (const std::exception& thrown) {
    error.message.append(who).append(" threw: ").append(thrown.what());
  } catch (...) {
    error.message.append(who).append(" threw something that is no std::exception");
  }
  return error;
}

}  // namespace

Error out_of_memory() noexcept {
  Error error;
  error.kind = ErrorKind::local_limit;
  error.message = "out of memory";  // so short that it stands in the string itself
  return error;
}

Error error_from_exception(std::string_view who) noexcept {
  Error error;
  try {
    error = told(who);
  } catch (...) {
    error = out_of_memory();
  }
  if (error.replay == ReplaySafety::not_sent) error.replay = ReplaySafety::maybe_processed;
  return error;
}

Error error_thrown_by(const Target& target, const CallContext& context) noexcept {
  Error error = error_from_exception("the provider");
  error.target = target;
  error.committed = context.committed();
  if (error.committed && error.kind == ErrorKind::local_limit) interrupt_stream(error);
  try {
    context.note_skipped(error.target, error);
  } catch (...) {  // no memory for a row
  }
  return error;
}

}  // namespace backstop::inline v0::detail
