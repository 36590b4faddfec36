#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "fuzz/targets.hpp"

namespace backstop::fuzz {

/// Requests as JSON: one that is read and written is read as the same again.
void request_json(std::string_view bytes) {
  const Result<ChatRequest> request = request_from_text(bytes);
  if (!request) {
    require(request.error().kind == ErrorKind::invalid_request, "a bad request is no invalid request");
    require(!request.error().message.empty() && request.error().message.size() < 2000, "a complaint is empty or long");
    return;
  }
  const std::string written = json_text(to_json(*request));
  const Result<ChatRequest> again = request_from_text(written);
  require(again.has_value(), "a request that was written cannot be read");
  require(json_text(to_json(*again)) == written, "a request changes when it is written and read");
  static_cast<void>(arguments_to_json(bytes));
}

}  // namespace backstop::fuzz
