#pragma once

#include <string>
#include <vector>

#include "support/temporary_file.hpp"

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
