#pragma once

#include <mutex>
#include <string>

#include <backstop/backstop.hpp>

#include "options.hpp"

/// Prints one call: the answer on standard output, what happened on standard error; or all of it as JSON.
///
/// Calls that run one at a time print as they go; of several at once each prints when it has ended.
class CallOutput {
 public:
  CallOutput(const Options& options, std::mutex& printing);

  void show(const backstop::StreamEvent& event);
  /// On a terminal people see who has failed and what is waited for, until the answer begins.
  [[nodiscard]] bool shows_progress() const noexcept;
  void show(const backstop::ProgressEvent& event) noexcept;
  void finish(const backstop::Result<backstop::ChatResponse>& result);

 private:
  void show_answer(const backstop::ChatResponse& answer);
  void flush();

  const Options* options_;
  std::mutex* printing_;
  bool live_;
  bool begun_ = false;  ///< of the answer something has been printed
  std::string out_;
  std::string notes_;  ///< for standard error
};

/// The plan as a table, or as JSON.
[[nodiscard]] std::string plan_text(const backstop::Plan& plan, const std::vector<backstop::Finding>& findings,
                                    bool json);
