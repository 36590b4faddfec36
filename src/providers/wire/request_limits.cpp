#include "request_limits.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

FittedRequest::FittedRequest(const ChatRequest& original, const RequestLimits& limits) : original_{&original} {
  fit_output(limits);
  fit_sampling(limits);
  fit_stop(limits);
}

ChatRequest& FittedRequest::change(std::string_view note) {
  if (!notes_.empty()) notes_ += "; ";
  notes_ += note;
  if (!changed_) changed_ = *original_;
  return *changed_;
}

void FittedRequest::fit_output(const RequestLimits& limits) {
  const std::optional<std::int64_t> wanted = original_->max_output_tokens;
  if (wanted && *wanted > 0 && *wanted < limits.least_output_tokens) {
    change(fmt::format("output limit raised from {} to {} tokens, the least that can be asked for", *wanted,
                       limits.least_output_tokens))
        .max_output_tokens = limits.least_output_tokens;
    return;
  }
  if (!wanted || !limits.output_tokens || *wanted <= *limits.output_tokens) return;
  change(fmt::format("output limit lowered from {} to the model's {} tokens", *wanted, *limits.output_tokens))
      .max_output_tokens = limits.output_tokens;
}

void FittedRequest::fit_sampling(const RequestLimits& limits) {
  if (!limits.sampling) {
    if (original_->temperature) change("temperature left out: the model refuses it").temperature.reset();
    if (original_->top_p) change("top_p left out: the model refuses it").top_p.reset();
    return;
  }
  if (!original_->temperature) return;
  const double fitting = std::clamp(*original_->temperature, 0.0, limits.most_temperature);
  if (fitting == *original_->temperature) return;
  change(fmt::format("temperature {} moved to {}, the end of the model's range", *original_->temperature, fitting))
      .temperature = fitting;
}

void FittedRequest::fit_stop(const RequestLimits& limits) {
  std::vector<std::string> kept;
  for (const std::string& sequence : original_->stop) {
    const bool blank = limits.blank_stop_sequences ? sequence.empty() : trim(sequence).empty();
    if (!blank) kept.push_back(sequence);
  }
  if (const std::size_t left_out = original_->stop.size() - kept.size(); left_out != 0) {
    change(fmt::format("{} blank stop sequence{} left out", left_out, left_out == 1 ? "" : "s")).stop = kept;
  }
  if (kept.size() <= limits.stop_sequences) return;
  const std::size_t surplus = kept.size() - limits.stop_sequences;
  kept.resize(limits.stop_sequences);
  change(limits.stop_sequences == 0
             ? std::string{"stop sequences left out: the model refuses them"}
             : fmt::format("{} of the stop sequences left out: the provider takes {}", surplus, limits.stop_sequences))
      .stop = std::move(kept);
}

}  // namespace backstop::inline v0::detail
