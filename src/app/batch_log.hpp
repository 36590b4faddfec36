#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "backstop/app/batch.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/request.hpp"
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
  /// A short hash of what is asked, in hexadecimal digits: everything but metadata, headers and `keep_raw`. The same in
  /// every build, as long as the JSON of the request is.
  [[nodiscard]] static std::string hash_of(const ChatRequest& request);

  [[nodiscard]] bool has_answer(const std::string& key) const { return answered_.contains(key); }
  /// Whether the answer under that id, which there must be, may be one to this request: its line has the same hash, or
  /// none, as lines of earlier versions.
  [[nodiscard]] bool may_answer(const std::string& key, const std::string& hash) const {
    const std::string& noted = answered_.at(key);
    return noted.empty() || noted == hash;
  }
  [[nodiscard]] Money spent() const noexcept { return spent_; }
  [[nodiscard]] bool cost_known() const noexcept { return cost_known_; }
  /// Appends a result, with the hash of its request; why that failed, or nothing.
  [[nodiscard]] std::optional<Error> add(const BatchResult& result, const std::string& request_hash);

 private:
  /// Why the line is none of a log; empty when it is.
  [[nodiscard]] std::optional<std::string> read_line(std::string_view line);

  std::string path_;
  OpenFile file_;
  std::unordered_map<std::string, std::string> answered_;  // the hash of what was asked, by id
  Money spent_;
  bool cost_known_ = true;
};

}  // namespace backstop::inline v0::detail
