#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backstop::faults {

/// The dialects that the fault server speaks. The request's path chooses.
enum class Wire {
  openai,     ///< Chat Completions: any path that ends in `/chat/completions`
  anthropic,  ///< Messages: any path that ends in `/messages`, or in `:rawPredict` or `:streamRawPredict` (Vertex AI)
  responses,  ///< OpenAI's Responses: any path that ends in `/responses`
  gemini,     ///< Google's generateContent: any path that ends in `:generateContent` or `:streamGenerateContent`
  cohere,     ///< Cohere's Chat: any path that ends in `/v2/chat`
  ollama,     ///< Ollama's own: any path that ends in `/api/chat`
  bedrock,    ///< Amazon Bedrock's Converse: any path that ends in `/converse` or `/converse-stream`
  invoke,     ///< Anthropic's Messages there: any that ends in `/invoke` or `/invoke-with-response-stream`
};
inline constexpr std::array every_wire{Wire::openai, Wire::anthropic, Wire::responses, Wire::gemini,
                                       Wire::cohere, Wire::ollama,    Wire::bedrock,   Wire::invoke};

/// Its streams are binary messages rather than text.
[[nodiscard]] constexpr bool is_binary(Wire wire) noexcept { return wire == Wire::bedrock || wire == Wire::invoke; }

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// A request as it came over the socket, kept for a test's assertions.
struct ReceivedRequest {
  std::string method;
  std::string path;  ///< with its query
  HeaderList headers;
  std::string body;
  std::size_t connection = 0;  ///< which of the server's connections brought it, counted from 1

  /// The first header of that name, in any case.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;

  /// The dialect asked for, or nothing for a path or method that belongs to none.
  [[nodiscard]] std::optional<Wire> wire() const;

  /// Whether the body, if it is JSON, says `"stream": true`; on Google's wire and Bedrock's the path says it.
  [[nodiscard]] bool wants_stream() const;
};

/// Takes requests out of the bytes of one connection. Bodies have a `content-length`: chunked ones are refused.
class RequestReader {
 public:
  enum class Outcome {
    incomplete,      ///< more bytes are needed
    wants_continue,  ///< likewise, and the client waits for `100 Continue` before it sends the body; said once
    complete,        ///< `request` is filled and its bytes are taken out of the buffer
    invalid,         ///< not HTTP/1.x as spoken here
  };

  /// Looks at what was received so far.
  Outcome read(std::string& buffer, ReceivedRequest& request);

 private:
  std::size_t needed_ = 0;  ///< below this length nothing new can be found
  bool continued_ = false;
};

}  // namespace backstop::faults
