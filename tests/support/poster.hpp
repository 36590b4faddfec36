#pragma once

#include <string>
#include <utility>

#include "backstop/provider.hpp"
#include "backstop/runtime/call_context.hpp"
#include "runtime/http_exchange.hpp"

namespace backstop::inline v0::testing {

/// A provider that posts a chat request by hand and reads the body to its end.
class Poster final : public ModelProvider {
 public:
  Poster(std::string url, bool stream) : ModelProvider{Target{"test", "m"}}, stream_{stream} {
    request_.url = std::move(url);
    request_.headers = {{"content-type", "application/json"}};
    request_.body = stream ? R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})"
                           : R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
  }

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest&, CallContext& context) const override {
    HttpExchange exchange{request_, context};
    auto head = co_await exchange.head();
    if (!head) co_return head.error();
    std::string body;
    for (;;) {
      auto more = co_await exchange.read();
      if (!more) {
        Error error = more.error();
        error.partial_text = body;
        co_return error;
      }
      if (more->empty()) break;
      body += *more;
      if (stream_ && context.streaming()) {
        StreamEvent event;
        event.delta = *more;
        context.deliver(event);
        ConsumerReady room{context};
        co_await room;
        if (context.stopping()) co_return context.stop_error();
      }
    }
    ChatResponse response;
    response.parts.emplace_back(Text{body});
    response.id = exchange.response().header("X-REQUEST-ID");
    response.usage.output_tokens = exchange.response().status;
    co_return response;
  }

 private:
  HttpRequest request_;
  bool stream_;
};

}  // namespace backstop::inline v0::testing
