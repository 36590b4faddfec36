#include <cstdio>

#include <backstop/fallback_client.hpp>
#include <backstop/providers/function.hpp>
#include <backstop/version.hpp>

#ifdef WITH_FAULTS
bool falls_over_from_a_server_that_fails();
#endif

// What an application does first, with providers of its own: no network is needed.
int main() {
  using namespace backstop;
  const FallbackClient client{
      make_provider("local/broken", [](const ChatRequest&) { return Error{ErrorKind::overloaded, "too busy"}; }),
      make_provider("local/working", [](const ChatRequest&) { return "Hello!"; })};

  const auto reply = client.chat("Hi");
  if (!reply || reply->text() != "Hello!" || !reply->fallback) return 1;
#ifdef WITH_FAULTS
  if (!falls_over_from_a_server_that_fails()) return 1;
#endif
  std::printf("backstop %s: answered by %s\n", version.data(), reply->served_by.name().c_str());
  return 0;
}
