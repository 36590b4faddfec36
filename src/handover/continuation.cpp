#include "handover/continuation.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>

#include "chat/token_estimate.hpp"

namespace backstop::inline v0::detail {
namespace {

// A shorter text may well be followed by the same words again.
constexpr std::size_t least_repetition = 16;

[[nodiscard]] std::string_view without_white_end(std::string_view text) noexcept {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

[[nodiscard]] std::size_t common_beginning(std::string_view a, std::string_view b) noexcept {
  const auto differs = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())),
                                     b.begin());
  return static_cast<std::size_t>(differs.first - a.begin());
}

}  // namespace

ChatRequest continue_from(const ChatRequest& original, std::string_view text_so_far) {
  const std::string_view told = without_white_end(text_so_far);
  ChatRequest request = original;
  if (request.messages.empty() || request.messages.back().role != Role::assistant) {
    request.messages.push_back(Message::assistant(std::string{told}));
  } else {
    request.messages.back().parts.emplace_back(Text{std::string{told}});
  }
  // What was asked to think has done so, and a turn that is begun leaves no room for it.
  request.reasoning_effort.clear();
  if (request.max_output_tokens) {
    request.max_output_tokens =
        std::max<std::int64_t>(1, *request.max_output_tokens - estimate_tokens(text_so_far.size()));
  }
  return request;
}

std::optional<std::size_t> repeated_of(std::string_view text_so_far, std::string_view rest, bool complete) {
  const std::string_view told = without_white_end(text_so_far);
  std::size_t drop = 0;
  if (told.size() >= least_repetition) {
    if (!complete && rest.size() < told.size() && told.starts_with(rest)) return std::nullopt;
    if (rest.starts_with(told)) drop = told.size();
  }
  const std::string_view white = text_so_far.substr(told.size());
  const std::string_view remainder = rest.substr(drop);
  const std::size_t same = common_beginning(remainder, white);
  if (!complete && same == remainder.size() && same < white.size()) return std::nullopt;
  return drop + same;
}

void put_before(ChatResponse& response, std::string_view text_so_far, std::size_t repeated) {
  Text* first = nullptr;
  for (Part& part : response.parts) {
    auto* text = std::get_if<Text>(&part);
    if (text == nullptr) continue;
    if (first == nullptr) first = text;
    const std::size_t here = std::min(repeated, text->text.size());
    text->text.erase(0, here);
    repeated -= here;
  }
  if (first != nullptr) {
    first->text.insert(0, text_so_far);
  } else {
    response.parts.insert(response.parts.begin(), Text{std::string{text_so_far}});
  }
}

}  // namespace backstop::inline v0::detail
