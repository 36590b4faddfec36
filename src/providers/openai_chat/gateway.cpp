#include "gateway.hpp"

#include "providers/http/request_headers.hpp"

namespace backstop::inline v0::detail {

void write_no_failover(JsonWriter& json, OpenAiDialect::GatewaySwitch gateway) {
  switch (gateway) {
    case OpenAiDialect::GatewaySwitch::none: return;
    case OpenAiDialect::GatewaySwitch::litellm: return json.field("disable_fallbacks", true);
    case OpenAiDialect::GatewaySwitch::openrouter: break;
  }
  json.key("provider");
  json.begin_object();
  json.field("allow_fallbacks", false);
  json.end_object();
}

void add_no_retries(HttpRequest& http, OpenAiDialect::GatewaySwitch gateway) {
  if (gateway == OpenAiDialect::GatewaySwitch::litellm) set_header(http, "x-litellm-num-retries", "0");
}

}  // namespace backstop::inline v0::detail
