#include "usage.hpp"

#include <charconv>
#include <system_error>

#include "providers/http/gateway_headers.hpp"

namespace backstop::inline v0::detail {
namespace {

using Count = std::optional<std::int64_t>;

struct Details {
  Count cached;
  Count written;
  Count reasoning;
};

void read_details(const JsonElement& element, Details& details) noexcept {
  JsonObject object;
  if (element.get(object) != simdjson::SUCCESS) return;
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (is_key(key, "cached_tokens")) {
      details.cached = as_count(field.value);
    } else if (is_key(key, "cache_write_tokens") || is_key(key, "cache_creation_input_tokens")) {  // the latter: Alibaba
      details.written = as_count(field.value);
    } else if (is_key(key, "reasoning_tokens")) {
      details.reasoning = as_count(field.value);
    }
  }
}

bool reasoning_stands_beside(Count prompt, std::int64_t completion, std::int64_t reasoning, Count total) noexcept {
  if (reasoning > completion) return true;
  return reasoning > 0 && prompt && total && *total == *prompt + completion + reasoning;
}

}  // namespace

void read_openai_usage(const JsonElement& element, Usage& usage) noexcept {
  JsonObject object;
  if (element.get(object) != simdjson::SUCCESS) return;
  Count prompt;
  Count completion;
  Count total;
  Details details;
  Details flat;  // at the top: DeepSeek, Mistral, Moonshot, Perplexity
  for (const auto field : object) {
    const std::string_view key = field.key;
    if (is_key(key, "prompt_tokens")) {
      prompt = as_count(field.value);
    } else if (is_key(key, "completion_tokens")) {
      completion = as_count(field.value);
    } else if (is_key(key, "total_tokens")) {
      total = as_count(field.value);
    } else if (is_key(key, "prompt_tokens_details") || is_key(key, "prompt_token_details") || is_key(key, "completion_tokens_details")) {
      read_details(field.value, details);
    } else if (is_key(key, "prompt_cache_hit_tokens") || is_key(key, "num_cached_tokens") || is_key(key, "cached_tokens")) {
      flat.cached = as_count(field.value);
    } else if (is_key(key, "reasoning_tokens")) {
      flat.reasoning = as_count(field.value);
    }
  }
  if (!prompt && !completion) return;
  usage.input_tokens = prompt;
  usage.output_tokens = completion;
  usage.cached_input_tokens = details.cached ? details.cached : flat.cached;
  usage.cache_write_tokens = details.written;
  usage.reasoning_tokens = details.reasoning ? details.reasoning : flat.reasoning;
  if (prompt && usage.cached_input_tokens && *usage.cached_input_tokens > *prompt) {
    usage.input_tokens = *prompt + *usage.cached_input_tokens;
  }
  if (completion && usage.reasoning_tokens &&
      reasoning_stands_beside(prompt, *completion, *usage.reasoning_tokens, total)) {
    usage.output_tokens = *completion + *usage.reasoning_tokens;
  }
}

std::optional<double> as_dollars(const JsonElement& element) noexcept {
  double dollars = 0;
  if (element.get(dollars) == simdjson::SUCCESS) return dollars;
  const std::string_view text = as_text(element);
  const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), dollars);
  if (text.empty() || problem != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return dollars;
}

void read_openai_cost(const JsonElement& usage, GatewayReport& report) noexcept {
  const std::optional<JsonElement> cost = member(usage, "cost");
  if (!cost) return;
  const std::optional<JsonElement> total = cost->is_object() ? member(*cost, "total_cost") : cost;
  std::optional<double> dollars = total ? as_dollars(*total) : std::nullopt;
  if (!dollars) return;
  bool own_key = false;
  const std::optional<JsonElement> byok = member(usage, "is_byok");
  if (byok && byok->get(own_key) == simdjson::SUCCESS && own_key) {
    const std::optional<JsonElement> details = member(usage, "cost_details");
    const std::optional<JsonElement> upstream = details ? member(*details, "upstream_inference_cost") : std::nullopt;
    const std::optional<double> charged = upstream ? as_dollars(*upstream) : std::nullopt;
    if (!charged) return;  // what the key was charged with is not known
    *dollars += *charged;
  }
  report.cost = reported_cost(*dollars);
}

}  // namespace backstop::inline v0::detail
