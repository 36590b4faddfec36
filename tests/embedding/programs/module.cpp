// A plug-in with the library inside.

#include "backstop/backstop.hpp"

using namespace backstop;

/// Calls in both ways; true when both were answered.
extern "C" [[gnu::visibility("default")]] bool backstop_module_asks(const char* base_url) {
  const FallbackClient client{openai({.model = "m", .api_key = "sk-secret-0123456789", .base_url = base_url})};
  return client.chat("hello") && client.start("hello").wait();
}
