#pragma once

#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "providers/wire/endpoint.hpp"

namespace backstop::inline v0::detail {

/// Where a wire is offered, as data: in what its maker's own API and those of other companies differ besides what
/// stands in the body.
struct Platform {
  /// The path of a call below the base address. `{model}` in it stands for the model's name, which the body then lacks.
  std::string_view path;
  /// That of a streamed call. Empty: the same.
  std::string_view stream_path{};
  /// Stands in front of the path, such as /v1, unless the base address ends with it or with `other_root`.
  std::string_view root{};
  std::string_view other_root{};
  /// Where models are kept, such as `models/`: goes in front of a model's name in the path, unless the name is a path
  /// of its own (`tunedModels/mine`). Empty: slashes in the name are a part of it.
  std::string_view collection{};
  /// The header that has the key: in `authorization` it is a bearer token, in any other it stands alone.
  std::string_view key_header = "authorization";
  std::string_view version{};         ///< of the API
  std::string_view version_header{};  ///< which names it; empty: the body does
  std::string_view stream_type = "text/event-stream";  ///< in which a stream is asked for

  [[nodiscard]] constexpr bool model_in_path() const noexcept {
    return path.find("{model}") != std::string_view::npos;
  }
};

/// The request with that body: its address, its key and its headers (`add_headers`). A key that signs stays here.
[[nodiscard]] Result<HttpRequest> request_at(const Platform& platform, std::string body, const ChatRequest& request,
                                             const Endpoint& endpoint, bool stream);

}  // namespace backstop::inline v0::detail
