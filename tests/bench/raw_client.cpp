#include "raw_client.hpp"

#include <simdjson.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace bench {

struct RawClient::Parsers {
  simdjson::dom::parser parser;
  std::string padded;
};

RawClient::RawClient(std::string base_url, Decoder decoder)
    : url_{std::move(base_url) + "/chat/completions"},
      decoder_{decoder},
      easy_{curl_easy_init()},
      parsers_{std::make_unique<Parsers>()} {
  headers_ = curl_slist_append(headers_, "content-type: application/json");
  headers_ = curl_slist_append(headers_, "authorization: Bearer key");
  headers_ = curl_slist_append(headers_, "Expect:");
}

RawClient::~RawClient() {
  curl_slist_free_all(headers_);
  curl_easy_cleanup(easy_);
}

CURL* RawClient::prepare(std::string_view prompt, bool stream) {
  nlohmann::json request{{"model", "m"}, {"messages", {{{"role", "user"}, {"content", prompt}}}}};
  if (stream) {
    request["stream"] = true;
    request["stream_options"] = {{"include_usage", true}};
  }
  request_ = request.dump();
  stream_ = stream;
  body_.clear();
  text_.clear();
  curl_easy_setopt(easy_, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  curl_easy_setopt(easy_, CURLOPT_POST, 1L);
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.data());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.size()));
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &receive);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, static_cast<void*>(this));
  return easy_;
}

std::size_t RawClient::call(std::string_view prompt, bool stream) {
  if (curl_easy_perform(prepare(prompt, stream)) != CURLE_OK) throw std::runtime_error{"the raw client failed"};
  return finish();
}

std::size_t RawClient::finish() {
  if (stream_) return text_.size();
  if (decoder_ == Decoder::nlohmann) {
    const nlohmann::json answer = nlohmann::json::parse(body_);
    text_ = answer.at("choices").at(0).at("message").at("content").get<std::string>();
    tokens_ = answer.at("usage").at("completion_tokens").get<std::int64_t>();
    return text_.size();
  }
  body_.reserve(body_.size() + simdjson::SIMDJSON_PADDING);
  const simdjson::dom::element answer = parsers_->parser.parse(body_.data(), body_.size(), false);
  const std::string_view content = answer["choices"].at(0)["message"]["content"];
  text_ = content;
  tokens_ = std::int64_t{answer["usage"]["completion_tokens"]};
  return text_.size();
}

std::size_t RawClient::receive(char* bytes, std::size_t, std::size_t count, void* self) {
  auto& client = *static_cast<RawClient*>(self);
  client.body_.append(bytes, count);
  if (client.stream_) client.take_events();
  return count;
}

void RawClient::take_events() {
  std::size_t start = 0;
  for (std::size_t end = body_.find("\n\n"); end != std::string::npos; end = body_.find("\n\n", start)) {
    std::string_view line{body_.data() + start, end - start};
    start = end + 2;
    if (line.starts_with("data: ") && line != "data: [DONE]") take_event(line.substr(6));
  }
  body_.erase(0, start);
}

void RawClient::take_event(std::string_view data) {
  ++events_;
  if (decoder_ == Decoder::nlohmann) {
    const nlohmann::json chunk = nlohmann::json::parse(data);
    const auto& choices = chunk.at("choices");
    if (choices.empty()) return;
    const auto& delta = choices.at(0).at("delta");
    if (const auto content = delta.find("content"); content != delta.end() && content->is_string()) {
      text_ += content->get_ref<const std::string&>();
    }
    return;
  }
  parsers_->padded.assign(data);
  parsers_->padded.reserve(data.size() + simdjson::SIMDJSON_PADDING);
  simdjson::dom::element chunk;
  if (parsers_->parser.parse(parsers_->padded.data(), data.size(), false).get(chunk) != simdjson::SUCCESS) return;
  std::string_view content;
  if (chunk["choices"].at(0)["delta"]["content"].get(content) != simdjson::SUCCESS) return;
  text_ += content;
  if (on_text_) on_text_(content);
}

}  // namespace bench
