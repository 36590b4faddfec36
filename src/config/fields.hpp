#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "config/setting.hpp"

namespace backstop::inline v0::detail {

/// One key of an object in a policy file, and how it is read.
template <class Out>
struct Field {
  std::string_view key;
  void (*read)(const Setting& at, Out& out);  ///< null: known, but of a feature that this build does not have
};

/// Reads an object by its table. Complains about keys that are not in it, and about those of missing features.
template <class Out, std::size_t count>
void read_fields(const Setting& object, const std::array<Field<Out>, count>& fields, Out& out) {
  if (!object.present()) return;
  std::string accepted;
  for (const Field<Out>& field : fields) {
    if (field.read != nullptr) accepted.append(accepted.empty() ? "" : ", ").append(field.key);
  }
  if (!object.is_object()) return object.refuse("an object with keys out of " + accepted);
  for (const std::string& key : object.keys()) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const auto& row) { return row.key == key; });
    if (field == fields.end()) {
      object[key].complain("is not known; accepted here are " + accepted);
    } else if (field->read == nullptr) {
      object[key].complain("cannot be enforced by this build of backstop; accepted here are " + accepted);
    } else {
      field->read(object[key], out);
    }
  }
}

}  // namespace backstop::inline v0::detail
