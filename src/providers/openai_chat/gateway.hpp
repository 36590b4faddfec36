#pragma once

#include "backstop/runtime/http_transport.hpp"
#include "dialect.hpp"
#include "providers/wire/json_writer.hpp"

/// How gateways are told not to fail over and not to retry by themselves.
namespace backstop::inline v0::detail {

/// In the body: OpenRouter is asked for one provider, LiteLLM for one model.
void write_no_failover(JsonWriter& json, OpenAiDialect::GatewaySwitch gateway);

/// In the headers: LiteLLM sends once.
void add_no_retries(HttpRequest& http, OpenAiDialect::GatewaySwitch gateway);

}  // namespace backstop::inline v0::detail
