#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "backstop/app/batch.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/result.hpp"

namespace backstop::inline v0::detail {

/// A descriptor, which is closed with it.
class OpenFile {
 public:
  OpenFile() noexcept = default;
  explicit OpenFile(int descriptor) noexcept : descriptor_{descriptor} {}
  OpenFile(OpenFile&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OpenFile();

  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

/// The file that a batch notes its results in, a JSON object a line. One at a time has it.
class BatchLog {
 public:
  /// Reads what is there and opens it for more. A last line that was not written to its end is left out and counts as
  /// not there. Errors: another has it; it cannot be read or written; it is no log.
  [[nodiscard]] static Result<BatchLog> open(const std::string& path);

  /// An id as it stands in the log, where all is UTF-8.
  [[nodiscard]] static std::string key_of(const std::string& id);
  [[nodiscard]] bool has_answer(const std::string& key) const { return answered_.contains(key); }
  [[nodiscard]] Money spent() const noexcept { return spent_; }
  [[nodiscard]] bool cost_known() const noexcept { return cost_known_; }
  /// Appends a result; why that failed, or nothing.
  [[nodiscard]] std::optional<Error> add(const BatchResult& result);

 private:
  /// Why the line is none of a log; empty when it is.
  [[nodiscard]] std::optional<std::string> read_line(std::string_view line);

  std::string path_;
  OpenFile file_;
  std::unordered_set<std::string> answered_;
  Money spent_;
  bool cost_known_ = true;
};

}  // namespace backstop::inline v0::detail
