#include "request_limits.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "chat/cache_marks.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {

namespace {

[[nodiscard]] bool is_strict(const ChatRequest& request) noexcept {
  return (request.response_format && request.response_format->strict) ||
         std::any_of(request.tools.begin(), request.tools.end(),
                     [](const Tool& tool) { return tool.strict.has_value(); });
}

struct LeftOut {
  Repair repair;
  std::string_view name;
  bool (*is_there)(const ChatRequest& request);
  void (*leave_out)(ChatRequest& request);
};

/// Applies it to every image of the request; whether any of them had that.
template <class Request, class Action>
bool for_each_image(Request& request, Action action) {
  bool any = false;
  for (auto& message : request.messages) {
    for (auto& part : message.parts) {
      if (auto* image = std::get_if<Image>(&part)) any = action(*image) || any;
    }
  }
  return any;
}

constexpr std::array<LeftOut, 12> refusable{{
    {Repair::temperature, "temperature", [](const ChatRequest& request) { return request.temperature.has_value(); },
     [](ChatRequest& request) { request.temperature.reset(); }},
    {Repair::top_p, "top_p", [](const ChatRequest& request) { return request.top_p.has_value(); },
     [](ChatRequest& request) { request.top_p.reset(); }},
    {Repair::top_k, "top_k", [](const ChatRequest& request) { return request.top_k.has_value(); },
     [](ChatRequest& request) { request.top_k.reset(); }},
    {Repair::frequency_penalty, "frequency_penalty",
     [](const ChatRequest& request) { return request.frequency_penalty.has_value(); },
     [](ChatRequest& request) { request.frequency_penalty.reset(); }},
    {Repair::presence_penalty, "presence_penalty",
     [](const ChatRequest& request) { return request.presence_penalty.has_value(); },
     [](ChatRequest& request) { request.presence_penalty.reset(); }},
    {Repair::seed, "seed", [](const ChatRequest& request) { return request.seed.has_value(); },
     [](ChatRequest& request) { request.seed.reset(); }},
    {Repair::stop, "stop", [](const ChatRequest& request) { return !request.stop.empty(); },
     [](ChatRequest& request) { request.stop.clear(); }},
    {Repair::service_tier, "service_tier", [](const ChatRequest& request) { return !request.service_tier.empty(); },
     [](ChatRequest& request) { request.service_tier.clear(); }},
    {Repair::reasoning_effort, "reasoning_effort",
     [](const ChatRequest& request) { return !request.reasoning_effort.empty(); },
     [](ChatRequest& request) { request.reasoning_effort.clear(); }},
    {Repair::parallel_tool_calls, "parallel_tool_calls",
     [](const ChatRequest& request) { return request.parallel_tool_calls.has_value(); },
     [](ChatRequest& request) { request.parallel_tool_calls.reset(); }},
    {Repair::strict, "strict", is_strict,
     [](ChatRequest& request) {
       if (request.response_format) request.response_format->strict.reset();
       for (Tool& tool : request.tools) tool.strict.reset();
     }},
    {Repair::image_detail, "the detail of images",
     [](const ChatRequest& request) {
       return for_each_image(request, [](const Image& image) { return !image.detail.empty(); });
     },
     [](ChatRequest& request) {
       for_each_image(request, [](Image& image) { return !std::exchange(image.detail, {}).empty(); });
     }},
}};

}  // namespace

bool has_images(const ChatRequest& request) noexcept {
  return for_each_image(request, [](const Image&) { return true; });
}

RepairSet repairs_of(const ChatRequest& request) noexcept {
  RepairSet repairs = 0;
  for (const LeftOut& row : refusable) {
    if (row.is_there(request)) repairs |= static_cast<RepairSet>(row.repair);
  }
  return repairs;
}

FittedRequest::FittedRequest(const ChatRequest& original, const RequestLimits& limits) : original_{&original} {
  fit_output(limits);
  fit_sampling(limits);
  fit_top_k(limits);
  fit_penalty("frequency_penalty", &ChatRequest::frequency_penalty, limits);
  fit_penalty("presence_penalty", &ChatRequest::presence_penalty, limits);
  fit_seed(limits);
  fit_stop(limits);
  fit_tier(limits);
  fit_cache_marks(limits);
  if (limits.refused != 0) leave_out_refused(limits.refused & repairs_of(request()));
}

ChatRequest& FittedRequest::change(std::string_view note) {
  if (!notes_.empty()) notes_ += "; ";
  notes_ += note;
  if (!changed_) changed_ = std::make_unique<ChatRequest>(*original_);
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

void FittedRequest::fit_top_k(const RequestLimits& limits) {
  if (!original_->top_k) return;
  if (!limits.sampling || !limits.top_k) {
    change("top_k left out: the target takes none").top_k.reset();
  } else if (*original_->top_k > limits.most_top_k) {
    change(fmt::format("top_k lowered from {} to {}, the most that the target takes", *original_->top_k,
                       limits.most_top_k))
        .top_k = limits.most_top_k;
  }
}

void FittedRequest::fit_penalty(std::string_view name, std::optional<double> ChatRequest::*penalty,
                                const RequestLimits& limits) {
  const std::optional<double> wanted = original_->*penalty;
  if (!wanted) return;
  if (!limits.penalties) {
    (change(fmt::format("{} left out: the target takes none", name)).*penalty).reset();
    return;
  }
  const double fitting = std::clamp(*wanted, limits.least_penalty, limits.most_penalty);
  if (fitting == *wanted) return;
  change(fmt::format("{} {} moved to {}, the end of the target's range", name, *wanted, fitting)).*penalty = fitting;
}

void FittedRequest::fit_seed(const RequestLimits& limits) {
  const std::optional<std::int64_t> seed = original_->seed;
  if (!seed) return;
  if (!limits.seed) {
    change("seed left out: the target takes none").seed.reset();
  } else if (*seed < limits.least_seed || *seed > limits.most_seed) {
    change(fmt::format("seed left out: the target takes one from {} to {}", limits.least_seed, limits.most_seed))
        .seed.reset();
  }
}

void FittedRequest::fit_tier(const RequestLimits& limits) {
  if (original_->service_tier.empty() || limits.service_tier) return;
  change(fmt::format("service_tier \"{}\" left out: the target has none of that name", original_->service_tier))
      .service_tier.clear();
}

// The first is where all requests begin alike, the last ones are what the next turns of this conversation begin with.
void FittedRequest::fit_cache_marks(const RequestLimits& limits) {
  if (limits.cache_marks == RequestLimits::any_number) return;
  std::size_t of_tools = 0;
  std::size_t count = 0;
  for (const Tool& tool : original_->tools) of_tools += tool.cache && !limits.cache_marks_of_tools ? 1 : 0;
  visit_cache_marks(*original_, [&count](const bool&) { ++count; });
  if (of_tools > 0) {
    for (Tool& tool : change("cache marks of tools left out: the model takes none").tools) tool.cache = false;
    count -= of_tools;
  }
  const std::size_t most = limits.cache_marks;
  if (count <= most) return;
  ChatRequest& fitted =
      change(most == 0
                 ? std::string{"cache marks left out: the model takes none"}
                 : fmt::format("{} of {} cache marks left out: the provider takes {}", count - most, count, most));
  std::size_t place = 0;
  visit_cache_marks(fitted, [&](bool& mark) {
    const bool first = most > 0 && place == 0;
    const bool last = most > 0 && place + most > count;
    mark = first || last;
    ++place;
  });
}

void FittedRequest::leave_out_refused(RepairSet refused) {
  for (const LeftOut& row : refusable) {
    if (!has_repair(refused, row.repair)) continue;
    row.leave_out(change(fmt::format("{} left out: the server refused it", row.name)));
  }
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
