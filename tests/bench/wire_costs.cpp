#include "wire_costs.hpp"

#include <backstop/backstop.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "measure.hpp"
#include "support/fault_server.hpp"

using namespace backstop;

namespace bench {
namespace {

constexpr int rounds = 21;
constexpr int events = 400;
const std::string prompt(400, 'x');

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "word" + std::to_string(i) + ' ';
  return text;
}

struct OnWire {
  std::string name;
  FallbackClient client;
};

std::vector<OnWire> on_every_wire(const faults::FaultServer& server) {
  RuntimeOptions runtime;
  runtime.background_driver = false;
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(runtime));
  const auto model = [&](const char* path) {
    return ModelOptions{.model = "m", .api_key = "key", .base_url = server.base_url(path), .name = "server"};
  };
  const auto client = [&](const Provider& provider) { return FallbackClient{{provider | standard()}, options}; };
  return {{"openai", client(openai_compatible(model("/v1")))},
          {"openai_responses", client(openai_responses(model("/v1")))},
          {"anthropic", client(anthropic(model("")))},
          {"gemini", client(gemini(model("")))},
          {"cohere", client(cohere(model("")))},
          {"ollama", client(ollama_native(model("")))},
          {"bedrock", client(bedrock(model("")))}};
}

double call_cost(const FallbackClient& client) {
  constexpr int calls = 100;
  const double start = thread_cpu();
  for (int i = 0; i < calls; ++i) {
    if (!client.chat(prompt)) throw std::runtime_error{"a call failed; nothing was measured"};
  }
  return (thread_cpu() - start) / calls / 1000;
}

double event_cost(const FallbackClient& client) {
  constexpr int calls = 10;
  const double start = thread_cpu();
  for (int i = 0; i < calls; ++i) {
    std::size_t size = 0;
    for (const StreamEvent& event : client.stream(prompt)) size += event.delta.size();
    if (size == 0) throw std::runtime_error{"a call failed; nothing was measured"};
  }
  return (thread_cpu() - start) / calls / events;
}

void compare(const std::vector<OnWire>& wires, const std::string& what, const char* unit,
             double (*cost)(const FallbackClient&)) {
  std::vector<Contender> contenders;
  for (const OnWire& wire : wires) {
    contenders.push_back({wire.name, [&client = wire.client, cost] { return cost(client); }});
  }
  const std::vector<double> values = medians(contenders, rounds);
  for (std::size_t i = 0; i < wires.size(); ++i) {
    report("wire." + wires[i].name + what, unit, values[i], wires.front().name, values.front());
  }
}

}  // namespace

void wires() {
  faults::FaultServer server;
  const std::vector<OnWire> all = on_every_wire(server);
  server.always(faults::memoised(faults::answer(words(120))));
  compare(all, ".call", "us", &call_cost);
  server.always(faults::memoised(faults::coalesced(faults::answer(words(events)))));
  compare(all, ".event", "ns", &event_cost);
}

}  // namespace bench
