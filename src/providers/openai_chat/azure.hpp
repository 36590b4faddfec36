#pragma once

#include <string>
#include <string_view>

#include "backstop/providers/azure.hpp"
#include "dialect.hpp"
#include "providers/wire/endpoint.hpp"

namespace backstop::inline v0::detail {

/// A deployment in Azure, and how the wires of OpenAI are spoken there with its key.
struct AzureTarget {
  Endpoint endpoint;
  OpenAiDialect dialect;
};

/// Errors: see `azure`. `audio`: the wire takes recordings.
[[nodiscard]] AzureTarget azure_target(const ModelOptions& options, const AzureOptions& azure, bool audio);

/// The environment variable of the key: that of the token of Entra ID where it is set, else that of the API key.
[[nodiscard]] std::string_view azure_key_variable() noexcept;

/// The environment's address of the resource; empty without one.
[[nodiscard]] std::string_view azure_address() noexcept;

}  // namespace backstop::inline v0::detail
