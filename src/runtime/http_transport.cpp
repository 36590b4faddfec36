#include "backstop/runtime/http_transport.hpp"

#include "text/ascii.hpp"

namespace backstop::inline v0 {

std::string_view HttpResponseHead::header(std::string_view name) const noexcept {
  for (const Header& field : headers) {
    if (detail::equal_ignoring_case(field.first, name)) return field.second;
  }
  return {};
}

}  // namespace backstop::inline v0
