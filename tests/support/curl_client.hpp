#pragma once

#include <curl/curl.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "providers/wire/base64.hpp"
#include "support/fault_server.hpp"

/// A plain libcurl client, for tests of the servers that the library's own tests rely on.
namespace backstop::faults {

/// What libcurl made of one exchange.
struct Exchange {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::string head;
  std::string body;
  std::vector<std::size_t> pieces;  ///< sizes in which the body came

  [[nodiscard]] nlohmann::json parsed() const { return nlohmann::json::parse(body); }
  [[nodiscard]] bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

/// A client with one connection pool.
class Client {
 public:
  Client() : handle_{curl_easy_init()} {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(handle_);
  }

  [[nodiscard]] CURL* prepare(const std::string& url, const std::string& body) {
    exchange_ = {};
    body_ = body;
    curl_easy_reset(handle_);
    curl_slist_free_all(headers_);
    headers_ = curl_slist_append(nullptr, "content-type: application/json");
    curl_easy_setopt(handle_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, body_.c_str());
    curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, 5000L);
    curl_easy_setopt(handle_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle_, CURLOPT_PROXY, "");
    curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &take_body);
    curl_easy_setopt(handle_, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, &take_head);
    curl_easy_setopt(handle_, CURLOPT_HEADERDATA, this);
    return handle_;
  }

  Exchange finish(CURLcode code) {
    exchange_.code = code;
    curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &exchange_.status);
    return exchange_;
  }

  Exchange post(const std::string& url, const std::string& body) {
    CURL* handle = prepare(url, body);
    return finish(curl_easy_perform(handle));
  }

  Exchange ask(const FaultServer& server, Wire wire, bool stream) {
    const nlohmann::json body{{"model", "asked-model"}, {"stream", stream}};
    return post(server.base_url(path_of(wire, stream)), body.dump());
  }

  /// Of the exchange that is going on.
  [[nodiscard]] const Exchange& so_far() const { return exchange_; }

 private:
  static std::string_view path_of(Wire wire, bool stream) {
    switch (wire) {
      case Wire::openai:
        return "/v1/chat/completions";
      case Wire::anthropic:
        return "/v1/messages";
      case Wire::responses:
        return "/v1/responses";
      case Wire::gemini:
        return stream ? "/v1beta/models/asked-model:streamGenerateContent?alt=sse"
                      : "/v1beta/models/asked-model:generateContent";
      case Wire::cohere:
        return "/v2/chat";
      case Wire::ollama:
        return "/api/chat";
      case Wire::bedrock:
        return stream ? "/model/asked-model/converse-stream" : "/model/asked-model/converse";
      case Wire::invoke:
        return stream ? "/model/asked-model/invoke-with-response-stream" : "/model/asked-model/invoke";
    }
    return "";
  }
  static std::size_t take_body(char* data, std::size_t, std::size_t size, void* self) {
    auto& exchange = static_cast<Client*>(self)->exchange_;
    exchange.body.append(data, size);
    exchange.pieces.push_back(size);
    return size;
  }
  static std::size_t take_head(char* data, std::size_t, std::size_t size, void* self) {
    static_cast<Client*>(self)->exchange_.head.append(data, size);
    return size;
  }

  CURL* handle_;
  curl_slist* headers_ = nullptr;
  std::string body_;
  Exchange exchange_;
};

/// The `data:` lines of a stream.
inline std::vector<std::string> data_of(const std::string& body) {
  std::vector<std::string> lines;
  for (std::size_t at = body.find("data: "); at != std::string::npos; at = body.find("data: ", at)) {
    const auto end = body.find('\n', at);
    lines.push_back(body.substr(at + 6, end - at - 6));
    at = end;
  }
  return lines;
}

/// The text that an OpenAI stream adds up to.
inline std::string openai_text(const std::string& body) {
  std::string text;
  for (const auto& line : data_of(body)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_discarded() || !event.contains("choices") || event["choices"].empty()) continue;
    text += event["choices"][0]["delta"].value("content", "");
  }
  return text;
}

/// The text that an Anthropic stream adds up to.
inline std::string anthropic_text(const std::string& body) {
  std::string text;
  for (const auto& line : data_of(body)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_discarded() || event.value("type", "") != "content_block_delta") continue;
    text += event["delta"].value("text", "");
  }
  return text;
}

/// The text that a stream of OpenAI's Responses adds up to.
inline std::string responses_text(const std::string& body) {
  std::string text;
  for (const auto& line : data_of(body)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_discarded() || event.value("type", "") != "response.output_text.delta") continue;
    text += event.value("delta", "");
  }
  return text;
}

/// The text that a stream of Google's adds up to.
inline std::string gemini_text(const std::string& body) {
  std::string text;
  for (const auto& line : data_of(body)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_discarded()) continue;
    for (const auto& part : event["candidates"][0]["content"]["parts"]) text += part.value("text", "");
  }
  return text;
}

/// The text that a stream of Cohere's adds up to.
inline std::string cohere_text(const std::string& body) {
  std::string text;
  for (const auto& line : data_of(body)) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (event.is_discarded() || event.value("type", "") != "content-delta") continue;
    text += event["delta"]["message"]["content"].value("text", "");
  }
  return text;
}

/// The text that a stream of Ollama's adds up to.
inline std::string ollama_text(const std::string& body) {
  std::string text;
  std::istringstream lines{body};
  for (std::string line; std::getline(lines, line);) {
    const auto piece = nlohmann::json::parse(line, nullptr, false);
    if (piece.is_discarded()) continue;
    text += piece["message"].value("content", "");
  }
  return text;
}

/// The text that a stream of Bedrock's adds up to, over either of its wires.
inline std::string bedrock_text(const std::string& body) {
  std::string text;
  for (std::size_t at = 0; at + 12 <= body.size();) {
    const auto number = [&](std::size_t place) {
      std::size_t value = 0;
      for (std::size_t i = 0; i < 4; ++i) value = value * 256 + static_cast<unsigned char>(body[place + i]);
      return value;
    };
    const std::size_t size = number(at);
    const std::size_t head = 12 + number(at + 4);
    if (size < head + 4 || at + size > body.size()) break;
    auto event = nlohmann::json::parse(body.substr(at + head, size - head - 4), nullptr, false);
    if (event.contains("bytes")) {
      const auto bytes = detail::decode_base64(event["bytes"].get<std::string>());
      event = nlohmann::json::parse(bytes.value_or(""), nullptr, false);
    }
    if (event.contains("delta")) text += event["delta"].value("text", "");
    at += size;
  }
  return text;
}

/// The text that a stream of that wire adds up to.
inline std::string text_on(Wire wire, const std::string& body) {
  switch (wire) {
    case Wire::openai:
      return openai_text(body);
    case Wire::anthropic:
      return anthropic_text(body);
    case Wire::responses:
      return responses_text(body);
    case Wire::gemini:
      return gemini_text(body);
    case Wire::cohere:
      return cohere_text(body);
    case Wire::ollama:
      return ollama_text(body);
    case Wire::bedrock:
    case Wire::invoke:
      return bedrock_text(body);
  }
  return {};
}

}  // namespace backstop::faults
