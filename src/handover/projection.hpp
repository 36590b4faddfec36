#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "handover/rules.hpp"

namespace backstop::inline v0 {

/// What was dropped from a conversation or repaired in it for a target, in counts.
struct HandoverLosses {
  int reasoning_dropped = 0;  ///< blocks of reasoning that others wrote, or that lack their proof of origin
  int results_dropped = 0;    ///< tool results that answer no call, or answer one again (the last answer counts)
  int results_invented = 0;   ///< calls without a result, answered with "no result was recorded" as an error
  int blank_texts_dropped = 0;
  int turns_dropped = 0;  ///< turns in which nothing was left
  int files_moved = 0;    ///< that tools returned, into a turn of the user's

  [[nodiscard]] bool any() const noexcept { return *this != HandoverLosses{}; }
  friend bool operator==(const HandoverLosses&, const HandoverLosses&) = default;
};

/// "2 blocks of reasoning dropped, 1 tool call without a result answered with an error"; empty without losses.
[[nodiscard]] std::string to_string(const HandoverLosses& losses);

/// A request as one target should see it: the original itself when that will do, otherwise an adapted copy.
///
/// What was renamed is kept, so that it can be turned back: names of tools that the target would refuse, and ids of
/// tool calls. Must not outlive the request that it was made from.
class Projection {
 public:
  using Renamed = std::pair<std::string, std::string>;  ///< the application's, the target's

  /// What differs from the original.
  struct Adapted {
    ChatRequest request;
    HandoverLosses losses;
    std::vector<Renamed> ids;
    std::vector<Renamed> tools;
  };

  /// `adapted` is null where the original will do.
  explicit Projection(const ChatRequest& original, std::unique_ptr<const Adapted> adapted = nullptr) noexcept
      : original_{&original}, adapted_{std::move(adapted)} {}

  [[nodiscard]] const ChatRequest& request() const noexcept { return adapted_ ? adapted_->request : *original_; }
  /// False: `request()` is the original.
  [[nodiscard]] bool changed() const noexcept { return adapted_ != nullptr; }
  [[nodiscard]] HandoverLosses losses() const noexcept { return adapted_ ? adapted_->losses : HandoverLosses{}; }
  /// The ids of tool calls that were changed, in the order of the calls.
  [[nodiscard]] std::span<const Renamed> renamed_ids() const noexcept;
  [[nodiscard]] std::span<const Renamed> renamed_tools() const noexcept;
  /// The application's name of a tool that the target named; the same name where none was changed.
  [[nodiscard]] std::string_view original_tool_name(std::string_view target_name) const noexcept;

 private:
  const ChatRequest* original_;
  std::unique_ptr<const Adapted> adapted_;
};

/// Makes a conversation acceptable to a target. A pure function: the same input gives the same output, so that prompt
/// caches keep working over the turns.
///
/// - Reasoning stays, byte for byte, where `rules.reasoning` allows it, and is dropped elsewhere: a signature is valid
///   for its origin only, and as text it would teach the next model to write that way.
/// - Every tool call is answered directly after its turn, in the order of the calls and exactly once; ids are unique.
/// - Ids of tool calls and names of tools that the target refuses are replaced.
/// - Files that tools returned stand in a turn of the user's behind the results where `rules.files_in_results` says so.
/// - Text that the target refuses as blank is left out, and so are turns without content.
///
/// Cost: where nothing has to change, a walk over the parts that copies nothing (one small allocation when there are
/// several tool calls).
[[nodiscard]] Projection project(const ChatRequest& request, const Target& target,
                                                 const HandoverRules& rules);
[[nodiscard]] inline Projection project(const ChatRequest& request, const Target& target) {
  return project(request, target, handover_rules(target.provider()));
}

}  // namespace backstop::inline v0
