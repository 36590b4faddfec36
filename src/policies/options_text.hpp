#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/money.hpp"
#include "backstop/runtime/clock.hpp"
#include "text/duration.hpp"

namespace backstop::inline v0::detail {

[[nodiscard]] inline std::string option_text(int value) { return fmt::format("{}", value); }
[[nodiscard]] inline std::string option_text(std::int64_t value) { return fmt::format("{}", value); }
[[nodiscard]] inline std::string option_text(double value) { return fmt::format("{}", value); }
[[nodiscard]] inline std::string option_text(Money value) { return to_string(value); }
[[nodiscard]] inline std::string option_text(Duration value) { return duration_text(value); }

/// Describes a policy by the options that are not at their defaults: "circuit_breaker(open_for = 20s)".
class OptionsText {
 public:
  explicit OptionsText(std::string_view policy) : text_{policy} {}

  template <class T>
  OptionsText& add(std::string_view option, const T& value, const T& usual) {
    return value == usual ? *this : append(option, option_text(value));
  }
  template <class T>
  OptionsText& add(std::string_view option, const std::optional<T>& value) {
    return value ? append(option, option_text(*value)) : *this;
  }
  OptionsText& append(std::string_view option, std::string_view value) {
    text_.append(open_ ? ", " : "(").append(option).append(" = ").append(value);
    open_ = true;
    return *this;
  }
  [[nodiscard]] std::string text() const { return open_ ? text_ + ")" : text_; }

 private:
  std::string text_;
  bool open_ = false;
};

}  // namespace backstop::inline v0::detail
