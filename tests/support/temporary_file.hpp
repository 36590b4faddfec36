#pragma once

#include <string>

/// A file in the temporary folder that lives as long as this.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content = {});
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string content() const;

 private:
  std::string path_;
};
