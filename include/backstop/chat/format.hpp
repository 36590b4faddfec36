#pragma once

#include <fmt/core.h>

#include "backstop/chat/error.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/stream_event.hpp"

/// fmt formatters: `fmt::print("{}", reply.error())`. The text is that of the type's `to_string`; `{:>20}` and the
/// like work as for strings.
namespace backstop::inline v0::detail {

template <class T>
struct ToStringFormatter : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    const auto text = to_string(value);
    return fmt::formatter<fmt::string_view>::format(fmt::string_view{text.data(), text.size()}, context);
  }
};

}  // namespace backstop::inline v0::detail

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
struct fmt::formatter<backstop::Target> : fmt::formatter<fmt::string_view> {
  template <class Context>
  auto format(const backstop::Target& target, Context& context) const {
    return fmt::formatter<fmt::string_view>::format(fmt::string_view{target.name().data(), target.name().size()},
                                                    context);
  }
};
