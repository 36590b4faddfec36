#pragma once

#include <curl/curl.h>

#include <string>
#include <vector>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

/// The header fields of a request as libcurl takes them: a list whose texts all stand in one, which takes two blocks of
/// memory where libcurl's own takes two for each field.
class CurlHeaders {
 public:
  explicit CurlHeaders(const std::vector<Header>& fields);
  CurlHeaders(const CurlHeaders&) = delete;
  CurlHeaders& operator=(const CurlHeaders&) = delete;

  /// Lives as long as this object.
  [[nodiscard]] curl_slist* list() noexcept { return lines_.data(); }

 private:
  // The list points into both: they stay as they are.
  std::string text_;
  std::vector<curl_slist> lines_;
};

}  // namespace backstop::inline v0::detail
