#pragma once

#include <cstdint>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/handover/requirement.hpp"

namespace backstop::inline v0 {

struct HeldHandle;

/// What a request asks of whoever answers it.
struct Needs {
  bool tools = false;        ///< tools are offered, or the conversation holds tool calls or results
  bool vision = false;       ///< an image anywhere in the conversation
  bool documents = false;    ///< a document anywhere in the conversation
  bool audio = false;        ///< a recording anywhere in the conversation
  bool json_schema = false;  ///< the answer must follow a schema
  bool reasoning = false;    ///< reasoning of effort `low` or more was asked for
  bool prefill = false;      ///< a part of the answer has been delivered, and is to be continued
  bool writes_cache = false;  ///< something is marked for the provider's prompt cache
  bool costs = false;        ///< what a send may cost is asked for, too
  // Of a request of which something was given up, or may be (`FallbackOptions::degrade`).
  bool reduced = false;      ///< something was: who failed by what it had before may do now
  bool shortened = false;    ///< it was made shorter: windows that were too small before may do now
  const ChatRequest* whole = nullptr;  ///< as it came to the client that has changed it; null: none has
  std::size_t appended = 0;  ///< so many of its turns stand behind those that the application gave
  bool may_degrade = false;  ///< clients inside may give up by their own ladders what none of their targets can do
  /// As `estimate_input_tokens` has it: meant for reservations; texts in other scripts than the Latin one have fewer.
  std::int64_t input_tokens = 0;
  const Requirement* requirement = nullptr;  ///< of the call, beside the request's own; null for none
  const Price* assume_price = nullptr;       ///< of a target whose price is not known, to a cap around it; null: none
  const HeldHandle* held = nullptr;  ///< what the call holds permits of, which lets it pass; null for nothing

  friend bool operator==(const Needs&, const Needs&) = default;
};

/// Whether an effort is `low` or more.
[[nodiscard]] BACKSTOP_EXPORT bool asks_for_reasoning(std::string_view effort) noexcept;

/// Cost: proportional to the number of parts, whatever their size; allocates nothing.
[[nodiscard]] BACKSTOP_EXPORT Needs needs_of(const ChatRequest& request) noexcept;

}  // namespace backstop::inline v0
