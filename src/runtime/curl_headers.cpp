#include "runtime/curl_headers.hpp"

#include <cstddef>
#include <string_view>

namespace backstop::inline v0::detail {

CurlHeaders::CurlHeaders(const std::vector<Header>& fields) : lines_(fields.size() + 1) {
  constexpr std::string_view no_round_trip = "Expect:";  // before a large body
  const auto separator = [](const Header& field) -> std::string_view { return field.second.empty() ? ";" : ": "; };
  std::size_t size = no_round_trip.size() + 1;
  for (const Header& field : fields) size += field.first.size() + separator(field).size() + field.second.size() + 1;
  text_.reserve(size);
  text_.append(no_round_trip).append(1, '\0');
  for (const Header& field : fields) {
    text_.append(field.first).append(separator(field)).append(field.second).append(1, '\0');
  }

  // By lengths: what has a zero in it ends there, and is no two fields.
  char* text = text_.data();
  lines_[0].data = text;
  text += no_round_trip.size() + 1;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    lines_[i].next = &lines_[i + 1];
    lines_[i + 1].data = text;
    text += fields[i].first.size() + separator(fields[i]).size() + fields[i].second.size() + 1;
  }
}

}  // namespace backstop::inline v0::detail
