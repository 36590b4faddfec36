#include "fault_http.hpp"

#include <fmt/core.h>
#include <array>
#include <utility>

namespace backstop::faults {
namespace {

std::string_view reason_phrase(int status) {
  struct Row {
    int status;
    std::string_view phrase;
  };
  static constexpr std::array<Row, 15> rows{{{100, "Continue"},
                                             {200, "OK"},
                                             {400, "Bad Request"},
                                             {401, "Unauthorized"},
                                             {402, "Payment Required"},
                                             {403, "Forbidden"},
                                             {404, "Not Found"},
                                             {408, "Request Timeout"},
                                             {413, "Content Too Large"},
                                             {429, "Too Many Requests"},
                                             {500, "Internal Server Error"},
                                             {502, "Bad Gateway"},
                                             {503, "Service Unavailable"},
                                             {504, "Gateway Timeout"},
                                             {529, "Overloaded"}}};
  for (const auto& row : rows) {
    if (row.status == status) return row.phrase;
  }
  return "Unnamed";
}

}  // namespace

std::string response_head(int status, const HeaderList& headers) {
  auto head = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_phrase(status));
  for (const auto& [name, value] : headers) head.append(name).append(": ").append(value).append("\r\n");
  return head.append("\r\n");
}

std::string whole_response(int status, HeaderList headers, std::string_view body) {
  headers.emplace_back("content-length", std::to_string(body.size()));
  return response_head(status, headers).append(body);
}

std::string json_response(int status, HeaderList headers, std::string_view body) {
  const auto add = [&](std::string_view name, std::string_view value) {
    for (const auto& header : headers) {
      if (header.first == name) return;
    }
    headers.emplace_back(name, value);
  };
  add("content-type", "application/json");
  add("x-request-id", "req_fault");
  add("request-id", "req_fault");
  return whole_response(status, std::move(headers), body);
}

std::string stream_head(std::string_view type) {
  return response_head(200, {{"content-type", std::string{type}},
                             {"x-request-id", "req_fault"},
                             {"request-id", "req_fault"},
                             {"transfer-encoding", "chunked"}});
}

std::string chunk(std::string_view data) { return fmt::format("{:x}\r\n{}\r\n", data.size(), data); }

}  // namespace backstop::faults
