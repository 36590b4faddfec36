#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// One key of an object in a policy file, and how it is read.
template <class Out>
struct Field {
  std::string_view key;
  void (*read)(const Setting& at, Out& out) = nullptr;  ///< null: it is read elsewhere, together with others
};

/// Reads an object by its table. Complains about keys that are not in it.
template <class Out, std::size_t count>
void read_fields(const Setting& object, const std::array<Field<Out>, count>& fields, Out& out) {
  if (!object.present()) return;
  std::string accepted;
  for (const Field<Out>& field : fields) accepted.append(accepted.empty() ? "" : ", ").append(field.key);
  if (!object.is_object()) return object.refuse("an object with keys out of " + accepted);
  for (const std::string& key : object.keys()) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& row) { return row.key == key; });
    if (field == fields.end()) {
      object[key].complain("is not known; accepted here are " + accepted);
    } else if (field->read != nullptr) {
      field->read(object[key], out);
    }
  }
}

/// What the setting's text is the name of. Complains about anything else, with what is accepted.
template <class Value, std::size_t count>
[[nodiscard]] std::optional<Value> read_name(const Setting& at,
                                             const std::array<std::pair<std::string_view, Value>, count>& names,
                                             std::string_view accepted) {
  if (!at.present()) return std::nullopt;
  const auto row = std::find_if(names.begin(), names.end(), [&](const auto& known) { return known.first == at.word(); });
  if (row != names.end()) return row->second;
  at.refuse(accepted);
  return std::nullopt;
}

}  // namespace backstop::inline v0::detail
