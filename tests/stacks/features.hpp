#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stacks/random.hpp"

namespace stacks {

/// What a case may have in it. Each can be switched off, while the library is known to be wrong there:
/// `BACKSTOP_STACKS_WITHOUT=nested,hedge`.
enum class Feature : std::uint8_t {
  // What stands in the tree.
  nested,             ///< clients in clients
  around_clients,     ///< policies around an inner client
  client_options,     ///< mid_stream, hold, max_attempts
  retry,
  timeout,
  breaker,
  cap_request,
  cap_budget,
  rate_limit,
  bulkhead,
  adaptive,
  cache,
  single_flight,
  before,
  after,
  around,
  decorator,
  probe,
  floor,
  hedge,
  strategy,           ///< clients that do not ask their candidates as listed
  after_rejects,      ///< an answer that has been streamed may become an error
  throwing_intercept,
  throwing_decorator,
  custom_provider,    ///< a ModelProvider of the application's own
  throwing_provider,  ///< one that throws
  emit_blindly,       ///< one that emits whether or not anybody listens
  // What the targets do and are.
  faults,
  content_faults,     ///< that break off after content
  many_pieces,        ///< more than a stream's buffer holds
  misestimates,       ///< answers that cost more than was reserved
  misfits,            ///< windows and capabilities too small
  // What the consumers do.
  several_calls,
  stream,
  leave_stream,       ///< before its end
  slow_reader,
  start,
  sink,
  slow_sink,
  cancel,
  destroy,            ///< the handle, from the main thread
  destroy_in_callback,
  on_done,
  on_done_throws,
  on_done_starts,     ///< calls the client again, in the background
  on_done_chats,      ///< ... and waits for the answer, inside the callback
  on_done_destroys,
  sink_starts,
  sink_chats,
  sink_cancels,
  async,
  async_destroy,
  degrade,
  own_parameters,
  call_around,        ///< policies around the client for one call
  call_targets,       ///< calls that name the targets
  count
};

struct FeatureRow {
  Feature feature;
  std::string_view name;
  int weight;  ///< in percent: how often a case that could have it does
};

inline constexpr std::size_t feature_count = static_cast<std::size_t>(Feature::count);
[[nodiscard]] const std::array<FeatureRow, feature_count>& feature_table() noexcept;

/// The features that are switched on, with their weights.
class Features {
 public:
  /// All of them but those named in `BACKSTOP_STACKS_WITHOUT`, or only those in `BACKSTOP_STACKS_ONLY`.
  /// Throws std::invalid_argument for a name that is none.
  [[nodiscard]] static Features from_environment();
  Features() noexcept;

  void switch_off(std::string_view names);
  [[nodiscard]] bool has(Feature feature) const noexcept { return weights_[static_cast<std::size_t>(feature)] > 0; }
  /// Draws whether this case has it; draws one number in any case, so that switching one off disturbs others little.
  [[nodiscard]] bool draw(Feature feature, Random& random) const noexcept {
    return random.below(100) < weights_[static_cast<std::size_t>(feature)];
  }

 private:
  std::array<int, feature_count> weights_{};
};

}  // namespace stacks
