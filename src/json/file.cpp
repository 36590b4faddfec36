#include "json/file.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

namespace backstop::inline v0::detail {

Result<std::string> read_file(const std::string& path, std::size_t most) {
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  std::string text;
  constexpr std::size_t piece = std::size_t{1} << 16U;
  while (file && text.size() <= most) {
    const std::size_t before = text.size();
    text.resize(before + std::min(piece, most + 1 - before));
    file.read(text.data() + before, static_cast<std::streamsize>(text.size() - before));
    text.resize(before + static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    const std::string why = errno == 0 ? "unknown reason" : std::generic_category().message(errno);
    return Error{ErrorKind::invalid_request, "cannot be read: " + why};
  }
  return text;
}

}  // namespace backstop::inline v0::detail
