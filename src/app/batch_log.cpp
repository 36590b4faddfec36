#include "app/batch_log.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0::detail {
namespace {

[[nodiscard]] Error file_problem(std::string_view what, const std::string& path) {
  return {ErrorKind::invalid_request,
          fmt::format("the log {} cannot be {}: {}", path, what, std::generic_category().message(errno))};
}

/// Whether a line without its end may be one that a run could not finish. Anything else is somebody's file, and stays.
[[nodiscard]] bool may_be_cut(std::string_view line) {
  constexpr std::string_view begin = R"({"custom_id":)";
  return line.starts_with(begin) || begin.starts_with(line);
}

/// Cuts off what stands behind the last line break; false when that fails.
[[nodiscard]] bool cut_to(const std::string& path, std::uintmax_t size) {
  std::error_code failed;
  if (std::filesystem::file_size(path, failed) != size && !failed) std::filesystem::resize_file(path, size, failed);
  errno = failed.value();
  return !failed;
}

}  // namespace

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<BatchLog> BatchLog::open(const std::string& path) {
  BatchLog log;
  log.path_ = path;
  constexpr mode_t all_may_read = 0644;
  log.file_ = OpenFile{::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, all_may_read)};
  if (log.file_.get() < 0) return file_problem("opened", path);
  // Where the file system has no locks, there is none.
  if (::flock(log.file_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return Error{ErrorKind::invalid_request, fmt::format("the log {} is in use by another batch", path)};
  }
  errno = 0;
  std::ifstream file{path, std::ios::binary};
  if (!file) return file_problem("read", path);
  std::uintmax_t whole = 0;  // bytes of whole lines
  std::string line;
  std::size_t number = 1;
  for (; std::getline(file, line) && !file.eof(); ++number) {
    whole += line.size() + 1;
    if (line.empty()) continue;
    if (auto problem = log.read_line(line)) {
      return Error{ErrorKind::invalid_request, fmt::format("the log {}, line {}: {}", path, number, *problem)};
    }
  }
  if (file.bad()) return file_problem("read", path);
  if (!may_be_cut(line)) {
    return Error{ErrorKind::invalid_request, fmt::format("the log {}, line {}: is no line of a batch's log, with "
                                                         "`custom_id` and `ok`", path, number)};
  }
  if (!cut_to(path, whole)) return file_problem("written", path);
  return log;
}

std::string BatchLog::key_of(const std::string& id) {
  return nlohmann::json::parse(json_text(nlohmann::ordered_json(id))).get<std::string>();
}

std::string BatchLog::hash_of(const ChatRequest& request) {
  nlohmann::ordered_json asked = to_json(request);
  for (const char* carried : {"metadata", "headers", "keep_raw"}) asked.erase(carried);
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a, as in draft-eastlake-fnv
  for (const char letter : json_text(asked)) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
  return fmt::format("{:016x}", hash);
}

std::optional<std::string> BatchLog::read_line(std::string_view line) {
  const auto json = parse_json(line);
  if (!json) return json.error().message;
  const auto has = [&](const char* key) { return json->is_object() && json->contains(key); };
  if (!has("custom_id") || !json->at("custom_id").is_string() || !has("ok") || !json->at("ok").is_boolean()) {
    return "is no line of a batch's log, with `custom_id` and `ok`";
  }
  if (json->at("ok").get<bool>()) {
    const bool hashed = has("request_hash") && json->at("request_hash").is_string();
    answered_.insert_or_assign(json->at("custom_id").get<std::string>(),
                               hashed ? json->at("request_hash").get<std::string>() : std::string{});
  }
  const auto has_number = [&](const char* key) { return has(key) && json->at(key).is_number(); };
  // The whole cost is null where a part of it is not known; what is known of it has been spent all the same.
  const char* const spent = has_number("known_cost_usd") ? "known_cost_usd" : "cost_usd";
  if (has_number(spent)) spent_ += Money::usd(json->at(spent).get<double>());
  cost_known_ = cost_known_ && has_number("cost_usd");
  return std::nullopt;
}

std::optional<Error> BatchLog::add(const BatchResult& result, const std::string& request_hash) {
  nlohmann::ordered_json line{{"custom_id", result.id}, {"request_hash", request_hash}};
  line.update(result_to_json(result.reply));
  line["known_cost_usd"] = (result.reply ? result.reply->cost : result.reply.error().cost).usd();
  const std::string text = json_text(line) + '\n';
  // In one piece, unless the system takes less.
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t count = ::write(file_.get(), text.data() + written, text.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return file_problem("written", path_);
    written += static_cast<std::size_t>(count);
  }
  return std::nullopt;
}

}  // namespace backstop::inline v0::detail
