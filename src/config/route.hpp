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

/// The key of a setting of the platform that the target's wire has no use for; empty without one.
[[nodiscard]] std::string idle_setting_of(const TargetConfig& target);

[[nodiscard]] bool is_wire(std::string_view name) noexcept;
/// Which wires this build speaks, for complaints.
[[nodiscard]] std::string wires_text();

/// The adapter for the target's wire. Throws std::invalid_argument for options that cannot be right.
/// `keys`: in place of the route's own variable, where the target has several.
[[nodiscard]] Provider provider_for(const TargetConfig& target, const Credentials& keys);

}  // namespace backstop::inline v0::detail
