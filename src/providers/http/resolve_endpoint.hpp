#pragma once

#include <string_view>

#include "backstop/providers/model_options.hpp"
#include "providers/failure/secrets.hpp"
#include "providers/wire/endpoint.hpp"

namespace backstop::inline v0::detail {

/// What is usual for a provider, for the options that were left empty.
struct ProviderDefaults {
  std::string_view name;
  std::string_view base_url;      ///< empty: the application has to give one
  std::string_view key_variable;  ///< empty: none is known
  bool needs_key = true;
  bool audio = false;  ///< the wire takes recordings
};

/// Resolves the options that all adapters share: key from the environment, base address, facts from the catalogue.
/// A key that is missing is no error here but one of the call, so that a client can be built without it.
///
/// Throws std::invalid_argument for an empty model or name, an address that is not http(s)://host, and header names or
/// values that cannot be sent.
[[nodiscard]] Endpoint resolve_endpoint(const ModelOptions& options, const ProviderDefaults& defaults);

/// The keys that go to an endpoint: its key or those of its ring, and the values of its own headers and of its
/// address's query.
[[nodiscard]] Secrets secrets_of(const Endpoint& endpoint);

}  // namespace backstop::inline v0::detail
