#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace backstop::inline v0::detail {

/// A tier of service that a wire knows, and its word for it.
struct ServiceTier {
  std::string_view name;
  std::string_view word;  ///< empty: it is what is had without asking
};

/// The wire's word for `ChatRequest::service_tier`; nothing where it has no such tier.
[[nodiscard]] constexpr std::optional<std::string_view> service_tier_word(std::span<const ServiceTier> tiers,
                                                                          std::string_view wanted) noexcept {
  const auto row = std::find_if(tiers.begin(), tiers.end(), [wanted](const ServiceTier& tier) {
    return tier.name == wanted;
  });
  if (row != tiers.end()) return row->word;
  if (wanted.empty() || wanted == "default") return std::string_view{};
  return std::nullopt;
}

}  // namespace backstop::inline v0::detail
