#pragma once

#include <string>
#include <vector>

/// What a program printed and how it ended.
struct ProgramRun {
  int status = -1;  ///< -1: it did not end by itself
  std::string out;
  std::string err;

  /// The lines of its standard output.
  [[nodiscard]] std::vector<std::string> lines() const;
};

/// Runs a program and waits for its end. `variables` ("NAME=value") come to the environment of the tests.
[[nodiscard]] ProgramRun run_program(const std::string& program, const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& variables = {}, const std::string& input = {});

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
