#include <cerrno>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/app/batch.hpp"
#include "backstop/json.hpp"
#include "json/parse.hpp"

namespace backstop::inline v0 {
namespace {

using LineJson = nlohmann::ordered_json;

[[nodiscard]] Error bad_line(std::string message) { return {ErrorKind::invalid_request, std::move(message)}; }

void rename(LineJson& body, const char* from, const char* to) {
  if (!body.contains(from)) return;
  LineJson value = std::move(body[from]);
  body.erase(from);
  if (!value.is_null()) body[to] = std::move(value);
}

/// The body of a request to Chat Completions in the form of ours; keys that neither has stay for the reader to refuse.
void translate(LineJson& body) {
  body.erase("model");
  if (body.contains("n") && body["n"] == 1) body.erase("n");
  if (body.contains("stream") && body["stream"] == false) body.erase("stream");
  rename(body, "max_tokens", "max_output_tokens");
  rename(body, "max_completion_tokens", "max_output_tokens");
  LineJson metadata = LineJson::object();
  if (body.contains("metadata")) metadata["tags"] = std::move(body["metadata"]);
  if (body.contains("user")) metadata["user_id"] = std::move(body["user"]);
  body.erase("metadata");
  body.erase("user");
  if (!metadata.empty()) body["metadata"] = std::move(metadata);
}

[[nodiscard]] Result<BatchRequest> from_object(LineJson json) {
  BatchRequest one;
  if (json.contains("custom_id")) {
    if (!json["custom_id"].is_string()) return bad_line("custom_id must be a string");
    one.id = json["custom_id"].get<std::string>();
    json.erase("custom_id");
  }
  if (json.contains("body")) {
    for (const auto& [key, accepted] : {std::pair{"method", "POST"}, std::pair{"url", "/v1/chat/completions"}}) {
      if (json.contains(key) && json[key] != accepted) return bad_line(fmt::format("{} must be {}", key, accepted));
    }
    LineJson body = std::move(json["body"]);
    if (!body.is_object()) return bad_line("body must be an object");
    translate(body);
    json = std::move(body);
  }
  Result<ChatRequest> request = request_from_json(json);
  if (!request) return std::move(request).error();
  one.request = *std::move(request);
  return one;
}

/// The next line that is not empty.
[[nodiscard]] bool next_line(std::istream& file, std::string& line, std::size_t& number) {
  while (std::getline(file, line)) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Result<BatchRequest> batch_request_from_line(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return bad_line("the line is empty");
  if (line[begin] != '{') return BatchRequest{"", ChatRequest{line.substr(begin)}};
  auto json = detail::parse_json(line);
  if (!json) return std::move(json).error();
  return from_object(*std::move(json));
}

Result<BatchSource> batch_file(const std::string& path) {
  errno = 0;
  auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  const auto problem = [&] { return bad_line(fmt::format("{}: {}", path, std::generic_category().message(errno))); };
  if (!*file) return problem();
  std::string line;
  std::size_t number = 0;
  std::size_t count = 0;
  for (; next_line(*file, line, number); ++count) {
    if (const auto one = batch_request_from_line(line); !one) {
      return bad_line(fmt::format("{}, line {}: {}", path, number, one.error().message));
    }
  }
  if (file->bad()) return problem();
  file->clear();
  file->seekg(0);
  if (!*file) return problem();
  const auto next = [file, path]() -> std::optional<BatchRequest> {
    std::string text;
    std::size_t unused = 0;
    const bool more = next_line(*file, text, unused);
    if (file->bad()) throw std::runtime_error{fmt::format("{}: it cannot be read any more", path)};
    if (!more) return std::nullopt;
    auto one = batch_request_from_line(text);
    if (!one) throw std::runtime_error{fmt::format("{}: it has been changed: {}", path, one.error().message)};
    return *std::move(one);
  };
  return BatchSource{next, count};
}

}  // namespace backstop::inline v0
