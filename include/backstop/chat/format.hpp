#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <type_traits>

#include <fmt/core.h>

#include "backstop/chat/error.hpp"
#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/stream_event.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/export.hpp"

/// fmt formatters: `fmt::print("{}", reply.error())`. The text is that of the type's `to_string`, a target's its name;
/// `{:>20}` and the like work as for strings, a width given as another argument does not. Streams take the same text of
/// those that programs print: `std::cerr << reply.error()`.
namespace backstop::inline v0 {

BACKSTOP_EXPORT std::ostream& operator<<(std::ostream& stream, const Error& error);
BACKSTOP_EXPORT std::ostream& operator<<(std::ostream& stream, ErrorKind kind);
BACKSTOP_EXPORT std::ostream& operator<<(std::ostream& stream, Money amount);
BACKSTOP_EXPORT std::ostream& operator<<(std::ostream& stream, const Target& target);

namespace detail {

/// A formatter of strings that needs no more of fmt than `fmt/core.h`, from fmt 9 on.
struct TextFormatter {
  template <class ParseContext>
  constexpr auto parse(ParseContext& context) {
    const auto begin = context.begin();
    auto end = begin;
    if (std::is_constant_evaluated()) {
      fmt::formatter<fmt::string_view> strings;
      end = strings.parse(context);
    } else {
      // Only its end is looked for: fmt reads it when `write` hands it over. Where fmt's parser is inlined here, g++ 12
      // warns at -O3 of a write that cannot happen.
      for (int depth = 0; end != context.end() && (*end != '}' || depth > 0); ++end) {
        if (*end == '{') ++depth;
        if (*end == '}') --depth;
      }
    }
    spec_ = std::string_view{begin, static_cast<std::size_t>(end - begin)};
    return end;
  }

 protected:
  template <class Context>
  auto write(std::string_view text, Context& context) const {
    const fmt::string_view view{text.data(), text.size()};
    if (spec_.empty()) return fmt::format_to(context.out(), "{}", view);
    const std::string pattern = std::string{"{:"}.append(spec_).append("}");
    return fmt::vformat_to(context.out(), fmt::string_view{pattern.data(), pattern.size()},
                           fmt::make_format_args(view));
  }

 private:
  std::string_view spec_;  ///< part of the format string, which outlives the call
};

template <class T>
struct ToStringFormatter : TextFormatter {
  template <class Context>
  auto format(const T& value, Context& context) const {
    return write(to_string(value), context);
  }
};

}  // namespace detail
}  // namespace backstop::inline v0

template <>
struct fmt::formatter<backstop::Money> : backstop::detail::ToStringFormatter<backstop::Money> {};
template <>
struct fmt::formatter<backstop::Role> : backstop::detail::ToStringFormatter<backstop::Role> {};
template <>
struct fmt::formatter<backstop::ErrorKind> : backstop::detail::ToStringFormatter<backstop::ErrorKind> {};
template <>
struct fmt::formatter<backstop::TimeoutLimit> : backstop::detail::ToStringFormatter<backstop::TimeoutLimit> {};
template <>
struct fmt::formatter<backstop::FinishReason> : backstop::detail::ToStringFormatter<backstop::FinishReason> {};
template <>
struct fmt::formatter<backstop::StreamEvent::Type> : backstop::detail::ToStringFormatter<backstop::StreamEvent::Type> {};
template <>
struct fmt::formatter<backstop::Error> : backstop::detail::ToStringFormatter<backstop::Error> {};
template <>
struct fmt::formatter<backstop::Target> : backstop::detail::TextFormatter {
  template <class Context>
  auto format(const backstop::Target& target, Context& context) const {
    return write(target.name(), context);
  }
};
