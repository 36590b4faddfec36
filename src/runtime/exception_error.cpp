#include "runtime/exception_error.hpp"

#include <exception>
#include <string>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

Error error_from_exception(std::string_view who) noexcept {
  Error error;
  error.kind = ErrorKind::server_error;
  try {
    throw;
  } catch (const BadResult& bad) {
    error = bad.error();
  } catch (const std::exception& thrown) {
    error.message.append(who).append(" threw: ").append(thrown.what());
  } catch (...) {
    error.message.append(who).append(" threw something that is no std::exception");
  }
  if (error.replay == ReplaySafety::not_sent) error.replay = ReplaySafety::maybe_processed;
  return error;
}

}  // namespace backstop::inline v0::detail
