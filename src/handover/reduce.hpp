#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/request.hpp"

namespace backstop::inline v0::detail {

/// What of a request can be given up, in the order in which it is taken out where several are.
enum class Feature : std::uint8_t { vision, documents, reasoning, json_schema, history, tools, output };

inline constexpr std::size_t feature_count = 7;

/// As `Degradation::features` has it.
[[nodiscard]] std::string_view to_string(Feature feature) noexcept;

/// What stands for the oldest turns that are left out of a conversation.
struct HistorySummary {
  std::size_t turns = 0;  ///< how many it is of
  std::string text{};     ///< empty: none could be made
  std::string by{};       ///< the target that was asked
  std::string why{};      ///< none could be made
};

/// What a reduction may be about.
struct ReductionOptions {
  int keep_turns = 6;              ///< with `history`: the newest, which stay as they are
  std::size_t appended = 0;        ///< with `history`: turns behind those that the application gave, which stay, too
  bool keep_tool_history = true;   ///< with `tools`: calls and results of the conversation become text; else they go
  /// With `history` and `output`: the window that input and output are to fit, in tokens. Without one all of the history
  /// goes that may.
  std::optional<std::int64_t> window{};
  /// With `output`: the most that the model writes; what a request asks above that is lowered in any case.
  std::optional<std::int64_t> most_output{};
  /// With `output`: input and output did not fit, so that half must do where the window does not say what will.
  bool halve_output = false;
  /// With `history`: how long a summary of the turns that are left out may be; 0: none is wanted.
  std::int64_t summary_tokens = 0;
  const HistorySummary* summary = nullptr;     ///< null: none has been asked for yet
  std::vector<Message>* left_out = nullptr;    ///< gets the turns that are left out, as they were
};

/// Takes one feature out of a request. A pure function: the same input gives the same output.
///
/// - `vision`, `documents`: text in their place says what was there.
/// - `reasoning`: no effort is asked for.
/// - `json_schema`: a system text states the schema in place of the provider's enforcement
///   (`ResponseFormat::by_instruction`).
/// - `tools`: none are offered. What the conversation has of calls and results becomes text, or is left out.
/// - `history`: results of tools, the oldest first, then whole turns, the oldest first, each until the rest fits the
///   window by the estimate of `estimate_input_tokens`. System texts, the newest turn of the user and the newest
///   `keep_turns` stay; no result is parted from its call. A text in its place says that something was left out, with
///   the summary of it where there is one; room for that is kept.
/// - `output`: the limit of the answer, or the most that the model writes, where it is above what the window leaves for
///   it. The input may then have a quarter more tokens than the estimate says. At least 256 tokens are left.
///
/// Returns a sentence for people about what was given up; empty where the request has nothing of it and is as it was.
[[nodiscard]] std::string take_out(Feature feature, ChatRequest& request, const ReductionOptions& options = {});

}  // namespace backstop::inline v0::detail
