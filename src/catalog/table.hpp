#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace backstop::inline v0::detail {

/// Picodollars per token, which is micro-USD per million tokens: 3 dollars per million are 3'000'000.
using Rate = std::int64_t;
inline constexpr Rate unknown_rate = -1;

struct Rates {
  Rate input = unknown_rate;
  Rate output = unknown_rate;
  Rate cache_read = unknown_rate;
  Rate cache_write = unknown_rate;
};

/// One model in the catalogue. Zero tokens mean: not stated.
struct CatalogRow {
  std::string_view provider;  ///< as models.dev spells it
  std::string_view model;
  std::int64_t context_window = 0;
  std::int64_t max_output_tokens = 0;
  Rates rates;
  std::uint8_t lacks = 0;              ///< capabilities that the sources deny
  std::int64_t long_input_above = 0;  ///< 0: there is one price only
  Rates long_input{};
};

// Bits of `lacks`, and the one capability that has to be stated to be believed.
inline constexpr std::uint8_t no_tools = 1;
inline constexpr std::uint8_t no_vision = 2;
inline constexpr std::uint8_t no_documents = 4;
inline constexpr std::uint8_t no_json_schema = 8;
inline constexpr std::uint8_t no_reasoning = 16;
inline constexpr std::uint8_t has_prefill = 32;

/// Whether models that reason at that provider do not show it: its chat wire has no field for it.
[[nodiscard]] bool hides_thinking(std::string_view provider) noexcept;

/// All rows, sorted by provider, then model.
[[nodiscard]] std::span<const CatalogRow> catalog_rows() noexcept;

}  // namespace backstop::inline v0::detail
