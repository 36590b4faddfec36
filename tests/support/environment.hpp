#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace backstop::testing_support {

/// Environment variables for the time of a test: the named ones are unset unless given.
class Environment {
 public:
  explicit Environment(const std::vector<std::string>& names,
                       const std::vector<std::pair<std::string, std::string>>& variables = {}) {
    for (const std::string& name : names) {
      const char* const value = std::getenv(name.c_str());
      before_.emplace_back(name, value == nullptr ? std::nullopt : std::optional<std::string>{value});
      ::unsetenv(name.c_str());
    }
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> before_;
};

}  // namespace backstop::testing_support
