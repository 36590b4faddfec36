#include "find_repair.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "provider_quirks.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t searched_of_message = 500;

[[nodiscard]] bool is_of_word(char letter) noexcept {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
}

/// As a word of its own.
[[nodiscard]] bool names(std::string_view text, std::string_view field) noexcept {
  for (std::size_t at = text.find(field); at != std::string_view::npos; at = text.find(field, at + 1)) {
    const std::size_t end = at + field.size();
    if ((at == 0 || !is_of_word(text[at - 1])) && (end == text.size() || !is_of_word(text[end]))) return true;
  }
  return false;
}

[[nodiscard]] bool refuses_a_field(const ProviderFailure& failure, std::string_view message) noexcept {
  const bool coded = std::any_of(refusing_codes.begin(), refusing_codes.end(), [&](std::string_view code) {
    return equal_ignoring_case(failure.code, code) || equal_ignoring_case(failure.type, code);
  });
  return coded || std::any_of(refusing_words.begin(), refusing_words.end(), [&](std::string_view words) {
           return message.find(words) != std::string_view::npos;
         });
}

[[nodiscard]] bool may_be_about_a_value(const ProviderFailure& failure, std::string_view message) noexcept {
  return equal_ignoring_case(failure.code, "unsupported_value") ||
         std::any_of(value_words.begin(), value_words.end(), [&](std::string_view words) {
           return message.find(words) != std::string_view::npos;
         });
}

/// The field itself, or one of that name further in.
[[nodiscard]] bool is_the_field(std::string_view param, std::string_view name) noexcept {
  if (!param.ends_with(name)) return false;
  return param.size() == name.size() || param[param.size() - name.size() - 1] == '.';
}

/// That the address of an image is expected where an object with it was sent.
[[nodiscard]] bool wants_plain_image_url(std::string_view param, std::string_view message) noexcept {
  const bool about_images = param.ends_with("image_url") || message.find("image_url") != std::string_view::npos;
  return about_images && std::any_of(plain_image_words.begin(), plain_image_words.end(), [&](std::string_view words) {
           return message.find(words) != std::string_view::npos;
         });
}

}  // namespace

RepairSet find_repair(const ProviderFailure& failure) {
  const std::string message = lower_case(std::string_view{failure.message}.substr(0, searched_of_message));
  if (wants_plain_image_url(lower_case(failure.param), message)) return static_cast<RepairSet>(Repair::image_as_text);
  if (!refuses_a_field(failure, message)) return 0;
  const RepairSet meant = may_be_about_a_value(failure, message) ? ~by_value : ~RepairSet{0};
  const std::string param = lower_case(failure.param);
  for (const RefusedField& field : refused_fields) {
    if (is_the_field(param, field.name)) return field.repairs & meant;
  }
  if (!param.empty()) return 0;  // it is about something else, whatever else the words name
  RepairSet found = 0;
  for (const RefusedField& field : refused_fields) {
    if (names(message, field.name)) found |= field.repairs;
  }
  return found & meant;
}

std::string to_string_of(RepairSet repairs) {
  static constexpr std::array<std::pair<Repair, std::string_view>, 16> words{{
      {Repair::temperature, "temperature left out"},
      {Repair::top_p, "top_p left out"},
      {Repair::top_k, "top_k left out"},
      {Repair::frequency_penalty, "frequency_penalty left out"},
      {Repair::presence_penalty, "presence_penalty left out"},
      {Repair::seed, "seed left out"},
      {Repair::stop, "stop sequences left out"},
      {Repair::service_tier, "service_tier left out"},
      {Repair::reasoning_effort, "reasoning_effort left out"},
      {Repair::parallel_tool_calls, "parallel_tool_calls left out"},
      {Repair::strict, "strict left out"},
      {Repair::stream_options, "stream_options left out"},
      {Repair::output_limit_name, "the output limit under its other name"},
      {Repair::developer_role, "system text under the role system"},
      {Repair::image_as_text, "the addresses of images as text"},
      {Repair::image_detail, "the detail of images left out"},
  }};
  std::string text;
  for (const auto& [repair, what] : words) {
    if (has_repair(repairs, repair)) text.append(text.empty() ? "" : ", ").append(what);
  }
  return text;
}

}  // namespace backstop::inline v0::detail
