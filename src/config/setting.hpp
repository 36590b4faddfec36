#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

#include "backstop/chat/money.hpp"
#include "backstop/runtime/clock.hpp"

namespace backstop::inline v0::detail {

/// What is wrong with a policy file: every complaint, each once.
class Problems {
 public:
  void add(std::string problem);
  [[nodiscard]] bool empty() const noexcept { return problems_.empty(); }
  /// One complaint as it is; several with their number and a line each.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> problems_;
  std::unordered_set<std::string> known_;
};

/// A value inside a policy file that knows its place (`fallback_policy.targets[1].timeout.connect`), so that a
/// complaint can name it. An absent one is a setting too; null is a value, and a wrong one.
class Setting {
 public:
  Setting(const nlohmann::ordered_json& document, Problems& problems) : json_{&document}, problems_{&problems} {}

  [[nodiscard]] bool present() const noexcept { return json_ != nullptr; }
  [[nodiscard]] bool is_object() const noexcept { return present() && json_->is_object(); }
  [[nodiscard]] bool is_array() const noexcept { return present() && json_->is_array(); }
  [[nodiscard]] bool is_string() const noexcept { return present() && json_->is_string(); }
  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  [[nodiscard]] Problems& problems() const noexcept { return *problems_; }
  /// The value for complaints; objects and arrays by their type only.
  [[nodiscard]] std::string shown() const;

  /// The member of that name; absent when this is no object or has none.
  [[nodiscard]] Setting operator[](std::string_view key) const;
  [[nodiscard]] std::vector<std::string> keys() const;
  /// The elements; complains about anything but an array.
  [[nodiscard]] std::vector<Setting> elements(std::string_view of_what) const;

  /// Null when absent.
  [[nodiscard]] const nlohmann::ordered_json* json() const noexcept { return json_; }

  // Each complains about a value of another type or outside the range, and is empty then; empty when absent.
  [[nodiscard]] std::optional<std::string> text() const;  ///< not an empty one
  /// The text, for what goes on to complain itself; empty for anything else.
  [[nodiscard]] std::string word() const;
  [[nodiscard]] std::optional<bool> boolean() const;
  [[nodiscard]] std::optional<double> number(double least, double most) const;
  [[nodiscard]] std::optional<int> whole(int least, int most) const;
  [[nodiscard]] std::optional<std::int64_t> tokens() const;
  [[nodiscard]] std::optional<std::int64_t> integer() const;  ///< of 64 bits
  [[nodiscard]] std::optional<Duration> duration() const;
  [[nodiscard]] std::optional<Duration> span() const;  ///< a duration, or zero: "0s"
  [[nodiscard]] std::optional<Money> dollars() const;

  /// "`place` is `value`; it must be `accepted`", or "is missing".
  void refuse(std::string_view accepted) const;
  /// "`place` " and the rest of the sentence.
  void complain(std::string_view rest) const;

 private:
  Setting(const nlohmann::ordered_json* json, std::string place, Problems* problems)
      : json_{json}, place_{std::move(place)}, problems_{problems} {}

  const nlohmann::ordered_json* json_;
  std::string place_;
  Problems* problems_;
};

/// Keeps the default where there is no value.
template <class Out, class Value>
void set(Out& out, std::optional<Value> value) {
  if (value) out = std::move(*value);
}

}  // namespace backstop::inline v0::detail
