#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <backstop/backstop.hpp>

/// What the command line asks for.
struct Options {
  std::string policy_file;
  std::vector<backstop::TargetConfig> targets;  ///< with `--target`, in order
  std::string request_file;                     ///< "-": standard input
  std::string prompt;
  std::string batch_file;  ///< a request a line
  std::string log_file;    ///< with it: what has an answer there is not sent again
  std::optional<double> budget_usd;  ///< with it: for all of them
  bool stream = false;
  bool json = false;
  bool explain = false;
  bool help = false;
  int repeat = 1;
  int concurrency = 0;     ///< 0: not said; 1, of a batch 16
  backstop::Duration interval{0};  ///< between the starts of two calls

  /// The client's configuration: the policy file's, or that of the targets.
  [[nodiscard]] backstop::Result<backstop::Config> config() const;
  [[nodiscard]] backstop::Result<backstop::ChatRequest> request() const;
};

extern const std::string_view usage;

/// Reads the command line, without the program's name. Errors: a sentence for people.
[[nodiscard]] backstop::Result<Options> parse_options(const std::vector<std::string_view>& arguments);
