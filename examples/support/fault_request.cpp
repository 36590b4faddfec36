#include "fault_request.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace backstop::faults {
namespace {

constexpr std::size_t largest_body = std::size_t{256} << 20;

bool equal_in_any_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool read_request_line(std::string_view line, ReceivedRequest& request) {
  const auto method_end = line.find(' ');
  const auto path_end = line.rfind(' ');
  if (method_end == std::string_view::npos || path_end <= method_end) return false;
  if (!line.substr(path_end + 1).starts_with("HTTP/1.")) return false;
  request.method = line.substr(0, method_end);
  request.path = line.substr(method_end + 1, path_end - method_end - 1);
  return true;
}

bool read_head(std::string_view head, ReceivedRequest& request) {
  auto line_end = head.find("\r\n");
  if (!read_request_line(head.substr(0, line_end), request)) return false;
  while (line_end != std::string_view::npos) {
    head.remove_prefix(line_end + 2);
    line_end = head.find("\r\n");
    const auto line = head.substr(0, line_end);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    request.headers.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }
  return true;
}

std::optional<std::size_t> body_length(const ReceivedRequest& request) {
  if (request.header("transfer-encoding")) return std::nullopt;
  const auto text = request.header("content-length");
  if (!text) return 0;
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), length);
  if (error != std::errc{} || end != text->data() + text->size() || length > largest_body) return std::nullopt;
  return length;
}

}  // namespace

std::optional<std::string> ReceivedRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_in_any_case(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<Wire> ReceivedRequest::wire() const {
  if (method != "POST") return std::nullopt;
  const auto route = std::string_view{path}.substr(0, path.find('?'));
  if (route.ends_with("/chat/completions")) return Wire::openai;
  if (route.ends_with("/messages")) return Wire::anthropic;
  if (route.ends_with(":rawPredict") || route.ends_with(":streamRawPredict")) return Wire::anthropic;
  if (route.ends_with("/responses")) return Wire::responses;
  if (route.ends_with(":generateContent") || route.ends_with(":streamGenerateContent")) return Wire::gemini;
  if (route.ends_with("/v2/chat")) return Wire::cohere;
  if (route.ends_with("/api/chat")) return Wire::ollama;
  if (route.ends_with("/converse") || route.ends_with("/converse-stream")) return Wire::bedrock;
  if (route.ends_with("/invoke") || route.ends_with("/invoke-with-response-stream")) return Wire::invoke;
  return std::nullopt;
}

bool ReceivedRequest::wants_stream() const {
  if (wire() == Wire::gemini) return path.find(":streamGenerateContent") != std::string::npos;
  if (wire() && is_binary(*wire())) return path.find("-stream") != std::string::npos;
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return false;
  const auto stream = json.find("stream");
  return stream != json.end() && *stream == true;
}

RequestReader::Outcome RequestReader::read(std::string& buffer, ReceivedRequest& request) {
  if (buffer.empty() || buffer.size() < needed_) return Outcome::incomplete;
  const auto head_end = buffer.find("\r\n\r\n");
  if (head_end == std::string::npos) return Outcome::incomplete;

  request = {};
  if (!read_head(std::string_view{buffer}.substr(0, head_end), request)) return Outcome::invalid;
  const auto length = body_length(request);
  if (!length) return Outcome::invalid;

  const auto body_start = head_end + 4;
  if (buffer.size() < body_start + *length) {
    needed_ = body_start + *length;
    const auto expect = request.header("expect");
    if (!expect || !equal_in_any_case(*expect, "100-continue") || std::exchange(continued_, true)) {
      return Outcome::incomplete;
    }
    return Outcome::wants_continue;
  }
  request.body = buffer.substr(body_start, *length);
  buffer.erase(0, body_start + *length);
  needed_ = 0;
  continued_ = false;
  return Outcome::complete;
}

}  // namespace backstop::faults
