#include "models.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace backstop::inline v0::detail {

BedrockMaker bedrock_maker(std::string_view model) noexcept {
  constexpr std::array<std::pair<std::string_view, BedrockMaker>, 5> marks{{
      {"anthropic.", BedrockMaker::anthropic},
      {"amazon.nova-2", BedrockMaker::amazon_nova_2},
      {"amazon.nova-", BedrockMaker::amazon_nova},
      {"openai.", BedrockMaker::openai},
      {"mistral.", BedrockMaker::mistral},
  }};
  for (const auto& [mark, maker] : marks) {
    if (model.find(mark) != std::string_view::npos) return maker;
  }
  return BedrockMaker::other;
}

bool bedrock_enforces_schema(std::string_view model) noexcept {
  constexpr std::array<std::string_view, 4> known{"claude-haiku-4-5", "claude-sonnet-4-5", "claude-opus-4-5",
                                                  "claude-opus-4-6"};
  return std::any_of(known.begin(), known.end(),
                     [model](std::string_view name) { return model.find(name) != std::string_view::npos; });
}

}  // namespace backstop::inline v0::detail
