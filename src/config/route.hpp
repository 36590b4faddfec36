#pragma once

#include <string>
#include <string_view>

#include "backstop/config/config.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {

/// How a target is reached: what its provider's name tells, unless the target says otherwise.
struct Route {
  bool known = false;  ///< the provider is known by its name
  std::string wire;
  std::string base_url;      ///< empty: nobody said
  std::string key_variable;  ///< likewise
  bool needs_key = true;
};

[[nodiscard]] Route route_of(const TargetConfig& target);

[[nodiscard]] bool is_wire(std::string_view name) noexcept;
/// Which wires this build speaks, for complaints.
[[nodiscard]] std::string wires_text();

/// The adapter for the target's wire. Throws std::invalid_argument for options that cannot be right.
[[nodiscard]] Provider provider_for(const TargetConfig& target);

}  // namespace backstop::inline v0::detail
