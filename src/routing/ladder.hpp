#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/response.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/routing/degrade.hpp"
#include "handover/reduce.hpp"

namespace backstop::inline v0::detail {

/// A set of the rungs of one ladder, a bit for each.
using Rungs = std::uint32_t;

/// What the requests of a client may give up: its rungs that reduce a request, in their order, and those that are an
/// answer.
class Ladder {
 public:
  Ladder() = default;
  Ladder(const std::vector<Rung>& rungs, bool early);

  struct Reduction {
    Feature feature;
    ReductionOptions options;
    std::optional<Provider> summarized_by{};  ///< with `history`
  };
  [[nodiscard]] const std::vector<Reduction>& reductions() const noexcept { return reductions_; }
  /// `cached` and `canned`; null where there is none.
  [[nodiscard]] const Rung* cached() const noexcept { return has_cached_ ? &cached_ : nullptr; }
  [[nodiscard]] const Rung* canned() const noexcept { return has_canned_ ? &canned_ : nullptr; }
  [[nodiscard]] bool has_answers() const noexcept { return has_cached_ || has_canned_; }
  [[nodiscard]] bool early() const noexcept { return early_; }
  [[nodiscard]] Rungs all() const noexcept { return first(reductions_.size()); }
  [[nodiscard]] static Rungs first(std::size_t count) noexcept { return (Rungs{1} << count) - 1; }
  /// Those that are about one of the features.
  [[nodiscard]] Rungs about(std::initializer_list<Feature> features) const noexcept;
  /// Those that are about what is needed.
  [[nodiscard]] Rungs about(const Needs& needs) const noexcept;
  /// What is needed at most when these have been taken; of the length of a conversation nothing is known then.
  [[nodiscard]] Needs needs_after(Needs needs, Rungs taken) const noexcept;

 private:
  std::vector<Reduction> reductions_;
  Rung cached_;
  Rung canned_;
  bool has_cached_ = false;
  bool has_canned_ = false;
  bool early_ = false;
};

/// Both together, each feature once.
[[nodiscard]] Degradation merged(const Degradation& first, const Degradation& second);
/// Nothing is said twice.
void append_once(std::string& text, std::string_view more, std::string_view between);

}  // namespace backstop::inline v0::detail
