#pragma once

#include <string>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"

namespace backstop::inline v0 {

/// What is particular to Google Cloud.
struct VertexOptions {
  std::string project{};   ///< empty: that of `base_url`, else GOOGLE_CLOUD_PROJECT
  /// Such as europe-west4, eu, us or global. Empty: that of `base_url`, else GOOGLE_CLOUD_LOCATION, else global.
  std::string location{};
};

/// A model of Gemini in Google's Vertex AI, or at a server that speaks its API (`base_url`). What holds for requests
/// and answers is what `gemini` says, but calls go without their ids, which Vertex AI does not take.
///
/// `model` is a name (`gemini-3.5-flash`), or a path below the location (`endpoints/1234`,
/// `publishers/google/models/gemini-3.5-flash`). Requests go to
/// `/v1beta1/projects/<project>/locations/<location>/publishers/google/models/` below `base_url`, which is the
/// location's host unless given. What `base_url` has of that is not added: a version at its end, or the projects' part.
///
/// The key is an access token (`Authorization: Bearer`) or an API key of express mode (`x-goog-api-key`). A token ends
/// after an hour: give it with `credentials_from`; for a short program there is the environment's
/// GOOGLE_OAUTH_ACCESS_TOKEN. An `api_key`, the variable that `api_key_env` names, or else GOOGLE_API_KEY is a key of
/// express mode, which needs no project and no location; beside a `project` here or in `base_url` it is a token, too.
/// A server of another name and address does not get the environment's. Service accounts and metadata servers are not
/// asked.
///
/// The target is `vertex/<model>` unless `name` is given.
///
/// Errors: throws std::invalid_argument for options that cannot be right: an empty model, no project for a token. A
/// missing key is an error of the call (`authentication`).
///
/// Example: `auto flash = vertex({.model = "gemini-3.5-flash", .credentials = credentials_from(fetch_token)},
///                               {.project = "my-project", .location = "europe-west4"});`
[[nodiscard]] BACKSTOP_EXPORT Provider vertex(ModelOptions options, VertexOptions google = {});

/// A model of Claude in Google's Vertex AI (`claude-sonnet-4-5@20250929`), over Anthropic's Messages API
/// (`rawPredict`). What holds for requests and answers is what `anthropic` says, but images and documents go by their
/// bytes only, and a JSON schema is an instruction. The options are those of `vertex`, with version `/v1`; there is no
/// express mode, so that any key is an access token.
///
/// Errors: as with `vertex`; images and documents by an address are `unsupported_capability`, before anything is sent.
///
/// Example: `vertex_anthropic({.model = "claude-opus-4-8", .credentials = token}, {.project = "my-project"})`
[[nodiscard]] BACKSTOP_EXPORT Provider vertex_anthropic(ModelOptions options, VertexOptions google = {});

}  // namespace backstop::inline v0
