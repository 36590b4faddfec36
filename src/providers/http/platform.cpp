#include "platform.hpp"

#include <utility>

#include "request_headers.hpp"
#include "text/percent.hpp"

namespace backstop::inline v0::detail {
namespace {

/// The model's name as a part of a path.
[[nodiscard]] std::string model_path(const Platform& platform, std::string_view model) {
  if (platform.collection.empty()) return percent_encoded(model);
  const bool is_path = model.find('/') != std::string_view::npos;
  return std::string{is_path ? std::string_view{} : platform.collection}.append(percent_encoded(model, "/@"));
}

[[nodiscard]] std::string address_at(const Platform& platform, const Endpoint& endpoint, bool stream) {
  constexpr std::string_view place = "{model}";
  const std::string_view base{endpoint.base_url};
  const std::string_view base_path = base.substr(0, base.find('?'));
  const auto ends_with = [base_path](std::string_view root) { return !root.empty() && base_path.ends_with(root); };
  std::string path;
  if (!ends_with(platform.root) && !ends_with(platform.other_root)) path += platform.root;
  path += stream && !platform.stream_path.empty() ? platform.stream_path : platform.path;
  if (const std::size_t at = path.find(place); at != std::string::npos) {
    path.replace(at, place.size(), model_path(platform, endpoint.target.model()));
  }
  return address_below(base, path);
}

}  // namespace

Result<HttpRequest> request_at(const Platform& platform, std::string body, const ChatRequest& request,
                               const Endpoint& endpoint, bool stream) {
  HttpRequest http;
  http.headers.reserve(6 + endpoint.headers.size());
  http.url = address_at(platform, endpoint, stream);
  if (!platform.version_header.empty()) set_header(http, platform.version_header, platform.version);
  if (!endpoint.api_key.empty() && endpoint.access_key_id.empty()) {
    const bool bearer = platform.key_header == "authorization";
    set_header(http, platform.key_header, bearer ? "Bearer " + endpoint.api_key : endpoint.api_key);
  }
  Result<void> added = add_headers(http, request, endpoint, stream ? platform.stream_type : "application/json");
  if (!added) return std::move(added).error();
  http.body = std::move(body);
  return http;
}

}  // namespace backstop::inline v0::detail
