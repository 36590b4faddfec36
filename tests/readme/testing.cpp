// The part of README.md on tests. A test framework's CHECK would print the finding.

#include <stdexcept>

#include <backstop/backstop.hpp>
#include <backstop/testing/faults.hpp>
#include <backstop/testing/inject_faults.hpp>
#include <backstop/testing/matchers.hpp>
#include <backstop/testing/scripted_provider.hpp>
#include <backstop/testing/virtual_runtime.hpp>

#define CHECK(...) \
  if (!(__VA_ARGS__)) throw std::runtime_error{(__VA_ARGS__).words()}

namespace snippets {

void test_of_ones_own() {
  using namespace backstop;
  using namespace std::chrono_literals;
  // [testing]
  using namespace backstop::testing;                                 // <backstop/testing/...>
  VirtualRuntime runtime;                                            // hours of outage take milliseconds
  ScriptedProvider primary{"openai/gpt-5.6-sol", {rate_limited(30s), answer("Hello.")}};
  ScriptedProvider backup{"ollama/llama3.2", {answer("Hi.")}};
  FallbackClient client{{primary | standard(), backup | standard()}, {.runtime = runtime.share()}};

  auto reply = client.chat("Is anybody there?");
  CHECK(answered_by(reply, "ollama/llama3.2"));                      // a failed check prints the whole ledger
  CHECK(tried(reply, {"openai/gpt-5.6-sol", "ollama/llama3.2"}));
  runtime.run_for(30s);
  CHECK(answered_by(client.chat("And now?"), "openai/gpt-5.6-sol"));

  // Any provider can be made to fail at random; the same seed gives the same faults.
  Provider shaky = primary | inject_faults({.overloaded = 0.2, .cut = 0.05, .latency = 300ms}) | standard();
  // [/testing]
  static_cast<void>(shaky);
}

}  // namespace snippets
