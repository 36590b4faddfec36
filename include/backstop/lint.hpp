#pragma once

#include <string>
#include <vector>

#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0 {

/// Something about a stack of policies that is legal and hardly what was meant.
struct Finding {
  Target target{};        ///< whose stack; empty for what stands around a fallback client
  std::string what{};     ///< such as "circuit_breaker stands outside retry"
  std::string why{};      ///< what comes of it
  std::string instead{};  ///< what to do
};

/// Looks at how a client, or a single target with its policies, is put together and names what is odd: policies in an
/// order in which they do not work together, limits that cannot be reached, a retry or a hedge that is missing what it
/// needs, a target that its caps leave no room for. Sends nothing. Nothing is found in the `standard()` stack.
///
/// Of the application's own policies, what stands inside them is found too (`ChatProvider::layer`).
/// Example: `for (const Finding& finding : lint(client)) fmt::print("{}: {}\n", finding.what, finding.instead);`
[[nodiscard]] BACKSTOP_EXPORT std::vector<Finding> lint(const Provider& provider);

}  // namespace backstop::inline v0
