#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "providers/http/resolve_endpoint.hpp"
#include "providers/wire/request_limits.hpp"
#include "providers/wire/service_tier.hpp"

namespace backstop::inline v0::detail {

/// How a server that speaks OpenAI Chat Completions differs from OpenAI's own.
struct OpenAiDialect {
  /// Where an assistant's earlier reasoning goes when the conversation is sent back to its origin.
  enum class ReasoningField : std::uint8_t { none, reasoning, reasoning_content, thinking_part };
  /// Which field names the end user.
  enum class UserField : std::uint8_t { none, user, safety_identifier };
  /// How a gateway is told not to fail over by itself.
  enum class GatewaySwitch : std::uint8_t { none, openrouter, litellm };
  /// Which models refuse `stop`.
  enum class StopRefused : std::uint8_t { never, by_reasoning_gpt, by_reasoning_grok };

  bool max_completion_tokens = false;  ///< instead of `max_tokens`
  bool developer_role = false;         ///< system text of reasoning models goes under that role, without temperature
  bool stream_options = true;          ///< takes `stream_options`, and needs it to report usage
  bool json_schema = true;             ///< enforces schemas; else JSON as such at most
  bool document_urls = false;          ///< takes documents by address (Mistral's `document_url`)
  bool plain_audio = false;            ///< takes a recording as a string, of any format (Mistral's `input_audio`)
  bool effort_in_object = false;       ///< `"reasoning": {"effort": ...}` instead of `reasoning_effort`
  bool session_id = false;
  bool prefix = false;                 ///< a last turn of the assistant's says that it is to be gone on with
  ReasoningField reasoning = ReasoningField::none;
  UserField user = UserField::user;
  std::string_view key_header = "authorization";  ///< see `Platform`
  std::string_view seed = "seed";  ///< what the field is called
  bool top_k = true;
  std::span<const ServiceTier> service_tiers{};
  bool any_service_tier = false;  ///< which ones it has is not known
  double most_temperature = 2;
  std::size_t stop_sequences = RequestLimits::any_number;  ///< how many are taken
  StopRefused stop_refused = StopRefused::never;
  GatewaySwitch gateway = GatewaySwitch::none;
};

/// A provider that is known by name.
struct KnownProvider {
  ProviderDefaults defaults;
  OpenAiDialect dialect;
  std::string_view company{};  ///< whose further address it is: codes of errors are that provider's; empty: its own
};

/// By its name or another that is in use for it; null when unknown.
[[nodiscard]] const KnownProvider* find_known_provider(std::string_view name) noexcept;

/// For servers of which only the address is known: `max_tokens`, role `system`.
inline constexpr OpenAiDialect unknown_dialect{.any_service_tier = true};

}  // namespace backstop::inline v0::detail
