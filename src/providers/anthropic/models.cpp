#include "models.hpp"

#include <array>

namespace backstop::inline v0::detail {
namespace {

using enum ClaudeThinking;

// The first row that matches counts.
constexpr std::array<ClaudeFamily, 14> families{{
    // clang-format off
    // prefix       thinking  xhigh  sampling schema force
    {"fable-",      always,   true,  false,   true,  false},
    {"mythos-",     always,   true,  false,   true,  false},
    {"opus-4-8",    adaptive, true,  false,   true,  true},
    {"opus-4-7",    adaptive, true,  false,   true,  true},
    {"opus-4-6",    adaptive, false, true,    true,  true},
    {"sonnet-4-6",  adaptive, false, true,    true,  true},
    {"opus-4-5",    budget,   false, true,    true,  true},
    {"sonnet-4-5",  budget,   false, true,    true,  true},
    {"haiku-4-5",   budget,   false, true,    true,  true},
    {"opus-4-1",    budget,   false, true,    true,  true},
    {"opus-4",      budget,   false, true,    false, true},
    {"sonnet-4",    budget,   false, true,    false, true},
    {"3-7",         budget,   false, true,    false, true},
    {"3-",          none,     false, true,    false, true},
    // clang-format on
}};
constexpr ClaudeFamily newest{"", adaptive, true, false, true, true};
constexpr ClaudeFamily not_claude{"", budget, false, true, false, true};

}  // namespace

const ClaudeFamily& claude_family(std::string_view model) noexcept {
  constexpr std::string_view brand = "claude-";
  const std::size_t at = model.find(brand);
  if (at == std::string_view::npos) return not_claude;
  const std::string_view rest = model.substr(at + brand.size());
  for (const ClaudeFamily& family : families) {
    if (rest.substr(0, family.prefix.size()) == family.prefix) return family;
  }
  return newest;
}

}  // namespace backstop::inline v0::detail
