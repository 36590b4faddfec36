#include "json/unfenced.hpp"

#include <nlohmann/json.hpp>

#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "json/parse.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0 {
namespace detail {

std::string_view unfenced(std::string_view text) noexcept {
  constexpr std::string_view fence = "```";
  text = trim(text);
  if (text.size() < 2 * fence.size() || !text.starts_with(fence) || !text.ends_with(fence)) return text;
  const std::size_t line_end = text.find('\n');
  if (line_end == std::string_view::npos) return text;
  text.remove_suffix(fence.size());
  return trim(text.substr(line_end));
}

}  // namespace detail

Result<nlohmann::ordered_json> ChatResponse::json() const {
  const std::string whole = text();
  Result<nlohmann::ordered_json> parsed = detail::parse_json(detail::unfenced(whole));
  if (!parsed) parsed.error().kind = ErrorKind::malformed_response;
  return parsed;
}

}  // namespace backstop::inline v0
