#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/provider.hpp"
#include "backstop/providers/model_options.hpp"
#include "support/replayed_call.hpp"

namespace backstop::testing_support {

/// One recorded exchange: a folder with `meta.json`, `response.body` and `expect.json`.
struct Recording {
  std::string name;  ///< provider/api/case
  std::string provider;
  bool stream = false;
  ReplayedAnswer answer;
  nlohmann::json meta;
  nlohmann::json expect;

  /// What was asked for; the recording's own reported model where the request was not kept.
  [[nodiscard]] std::string model() const;
  /// The expected counts as the provider wrote them.
  [[nodiscard]] Usage raw_usage() const;
  /// In totals, where the wire counts apart what the cache served and took.
  [[nodiscard]] Usage usage_with_cache() const;
  /// Our word for the expected finish reason by a table of the wire's words; "" where none is expected, "other" where
  /// the table has none.
  [[nodiscard]] std::string finish_by(std::span<const std::pair<std::string_view, std::string_view>> table) const;
  /// Of a target that answers with it.
  [[nodiscard]] ModelOptions options() const;
};

/// The cases of one API, over all providers or one; empty where the folder of recordings is missing.
[[nodiscard]] std::vector<Recording> recordings(std::string_view api, std::string_view provider = {});

/// What differs from the expectation, a line per difference; empty when all is as expected.
///
/// `usage_of` turns the expectation's raw numbers, and the body where those lack a field, into canonical totals;
/// `finish_of` the raw finish reason into ours ("" when none is expected).
struct RecordingRules {
  std::function<Usage(const Recording&)> usage_of;
  std::function<std::string(const Recording&)> finish_of;
  /// Whether the recording's finish reason means a failure on this wire.
  std::function<bool(const std::string& reason)> means_failure;
};
[[nodiscard]] std::string differences(const Recording& recording, const ReplayedCall& call,
                                      const RecordingRules& rules);

/// Replays a case in one piece, a byte at a time and at random split points, and fails the running test where the
/// outcome differs from the expectation.
void check_recording(const Recording& recording, const Provider& provider, const RecordingRules& rules);

}  // namespace backstop::testing_support
