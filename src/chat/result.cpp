#include "backstop/chat/result.hpp"

namespace backstop::inline v0 {

BadResult::BadResult(Error error) : error_{std::move(error)}, text_{to_string(error_)} {}

const char* BadResult::what() const noexcept { return text_.c_str(); }

Result<void>::Result(Error&& error) : error_{std::move(error)} {}

Result<void>::Result(const Error& error) : error_{Error(error)} {}

}  // namespace backstop::inline v0
