#include <backstop/fallback_client.hpp>
#include <backstop/faults/fault_server.hpp>
#include <backstop/providers/openai.hpp>

// What an application's own test does.
bool falls_over_from_a_server_that_fails() {
  using namespace backstop;
  faults::FaultServer ill;
  faults::FaultServer well;
  ill.always(faults::overloaded());
  well.always(faults::answer("Hello!"));
  const FallbackClient client{openai({.model = "m", .base_url = ill.base_url("/v1"), .name = "ill"}),
                              openai({.model = "m", .base_url = well.base_url("/v1"), .name = "well"})};
  const auto reply = client.chat("Hi");
  return reply && reply->text() == "Hello!" && reply->served_by.provider() == "well" && ill.request_count() > 0;
}
