#pragma once

#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

// What backstop uses of the package json-schema-validator, with as much behind it as its test needs: where the package
// is not installed, the code that uses it is compiled and run with this.

namespace nlohmann::json_schema {

class error_handler {
 public:
  virtual ~error_handler() = default;
  virtual void error(const json::json_pointer& place, const json& instance, const std::string& message) = 0;
};

class json_validator {
 public:
  void set_root_schema(const json& schema) {
    if (!schema.is_object()) throw std::invalid_argument{"schema is neither an object nor a boolean"};
    schema_ = schema;
  }
  void validate(const json& instance, error_handler& errors) const {
    validate(schema_, instance, json::json_pointer{}, errors);
  }

 private:
  static void validate(const json& schema, const json& instance, const json::json_pointer& place,
                       error_handler& errors) {
    const std::string type = schema.value("type", instance.type_name());
    if (type != instance.type_name()) return errors.error(place, instance, "unexpected instance type: " + instance.dump());
    if (!instance.is_object()) return;
    for (const auto& [name, value] : instance.items()) {
      const json properties = schema.value("properties", json::object());
      if (properties.contains(name)) {
        validate(properties[name], value, place / name, errors);
      } else if (!schema.value("additionalProperties", true)) {
        errors.error(place / name, value, "additional property " + name);
      }
    }
  }

  json schema_;
};

}  // namespace nlohmann::json_schema
