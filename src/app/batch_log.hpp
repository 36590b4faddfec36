#pragma once

#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "backstop/app/batch.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// The file that a batch notes its results in, a JSON object a line.
class BatchLog {
 public:
  /// Reads what is there and opens it for more. A last line that was not written to its end is left out and counts as
  /// not there.
  [[nodiscard]] static Result<BatchLog> open(const std::string& path);

  [[nodiscard]] bool has_answer(const std::string& id) const { return answered_.contains(id); }
  [[nodiscard]] Money spent() const noexcept { return spent_; }
  [[nodiscard]] bool cost_known() const noexcept { return cost_known_; }
  /// Appends a result; why that failed, or nothing.
  [[nodiscard]] std::optional<Error> add(const BatchResult& result);

 private:
  /// Why the line is none of a log; empty when it is.
  [[nodiscard]] std::optional<std::string> read_line(std::string_view line);

  std::string path_;
  std::ofstream file_;
  std::unordered_set<std::string> answered_;
  Money spent_;
  bool cost_known_ = true;
};

}  // namespace backstop::inline v0::detail
