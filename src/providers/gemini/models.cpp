#include "models.hpp"

#include <array>

namespace backstop::inline v0::detail {
namespace {

using enum GeminiThinking;

// The first row that matches counts. Sources: the API's reference, and the budgets and levels of the providers' and of
// Vercel's SDKs; who takes penalties: a trial of 2026-05 (mnfst/modelparams.dev, pull request 16).
constexpr std::array<GeminiFamily, 8> gemini_families{{
    // clang-format off
    // prefix              thinking  budgets        level      instruction schema signature files penalties
    {"gemini-3.7-flash",   level,    0,    0,      "low",     true,       true,  true,  true,  false},
    {"gemini-3-pro",       level,    0,    0,      "low",     true,       true,  true,  true,  false},
    {"gemini-3.1-pro",     level,    0,    0,      "low",     true,       true,  true,  true,  false},
    {"gemini-2.5-pro",     budget,   128,  32'768, "",        true,       false, false, false, false},
    {"gemini-2.5",         budget,   0,    24'576, "",        true,       false, false, false, false},
    {"gemini-2",           none,     0,    0,      "",        true,       false, false, false, true},
    {"gemini-1",           none,     0,    0,      "",        true,       false, false, false, true},
    {"gemma",              none,     0,    0,      "",        false,      false, false, false, true},
    // clang-format on
}};
constexpr GeminiFamily newest_gemini{"", level, 0, 0, "minimal", true, true, true, true, false};

}  // namespace

const GeminiFamily& gemini_family(std::string_view model) noexcept {
  const std::string_view name = model.substr(model.rfind('/') + 1);
  for (const GeminiFamily& family : gemini_families) {
    if (name.starts_with(family.prefix)) return family;
  }
  return newest_gemini;
}

}  // namespace backstop::inline v0::detail
