#pragma once

#include <cstddef>
#include <string>

#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// The file's bytes, and one more than `most` where it has more. Errors: `invalid_request`, with the system's reason.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t most);

}  // namespace backstop::inline v0::detail
