#pragma once

#include <cstdint>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/chat/usage.hpp"

namespace backstop::inline v0 {

/// What a model is taken to write at most when neither the request nor its facts say.
inline constexpr std::int64_t assumed_output_tokens = 4096;

/// What a send of the request to this target is reserved for: the estimated input, and the output limit of the
/// request, else the most that the model writes.
[[nodiscard]] inline Usage worst_usage(const Target& target, const ChatRequest& request,
                                       std::int64_t estimated_input) noexcept {
  Usage usage;
  usage.input_tokens = estimated_input;
  usage.output_tokens =
      request.max_output_tokens.value_or(target.facts().max_output_tokens.value_or(assumed_output_tokens));
  return usage;
}

}  // namespace backstop::inline v0
