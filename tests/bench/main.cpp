// What backstop costs: CPU per call and per streamed event against libcurl by hand, in the same run on the same
// servers, and the price of the policies on a provider that answers at once. Prints JSON lines.

#include <backstop/backstop.hpp>

#include <curl/curl.h>
#ifdef __linux__
#include <sched.h>
#endif

#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "held_streams.hpp"
#include "measure.hpp"
#include "policy_costs.hpp"
#include "raw_client.hpp"
#include "support/fault_server.hpp"
#include "wire_costs.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr int rounds = 21;
const std::string prompt(400, 'x');

std::string words(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += "word" + std::to_string(i) + ' ';
  return text;
}

void need(bool condition) {
  if (!condition) throw std::runtime_error{"a call failed; nothing was measured"};
}

std::shared_ptr<Runtime> runtime_of_its_own() {
  RuntimeOptions options;
  options.background_driver = false;
  return std::make_shared<Runtime>(std::move(options));
}

/// The full stack around the adapter, as an application would have it.
FallbackClient client_for(const faults::FaultServer& first, const faults::FaultServer& second,
                          std::shared_ptr<Runtime> runtime) {
  const Policy guard = standard();
  FallbackOptions options;
  options.runtime = std::move(runtime);
  const auto provider = [&](const char* name, const faults::FaultServer& server) {
    return openai_compatible({.model = "m", .api_key = "key", .base_url = server.base_url("/v1"), .name = name}) | guard;
  };
  return FallbackClient{{provider("first", first), provider("second", second)}, std::move(options)};
}

void report_against_raw(std::string_view name, std::string_view unit, const std::vector<double>& values) {
  bench::report(name, unit, values[0], "raw_simdjson", values[1]);
  bench::report(name, unit, values[0], "raw_nlohmann", values[2]);
}

void plain_calls(const FallbackClient& client, const std::string& url) {
  constexpr int calls = 200;
  bench::RawClient with_simdjson{url, bench::Decoder::simdjson};
  bench::RawClient with_nlohmann{url, bench::Decoder::nlohmann};
  const auto raw = [&](bench::RawClient& one, double (*clock)()) {
    const double start = clock();
    for (int i = 0; i < calls; ++i) need(one.call(prompt, false) > 0);
    return (clock() - start) / calls / 1000;
  };
  for (const auto& [name, clock] : {std::pair{"call.cpu", &bench::thread_cpu}, std::pair{"call.latency", &bench::wall}}) {
    const auto ours = [&, measure = clock] {
      const double start = measure();
      for (int i = 0; i < calls; ++i) need(client.chat(prompt).has_value());
      return (measure() - start) / calls / 1000;
    };
    report_against_raw(name, "us",
                       bench::medians({{"backstop", ours},
                                       {"raw_simdjson", [&, measure = clock] { return raw(with_simdjson, measure); }},
                                       {"raw_nlohmann", [&, measure = clock] { return raw(with_nlohmann, measure); }}},
                                      rounds));
  }
}

/// 64 at a time on one thread: started together, driven until all are done.
void parallel_calls(const FallbackClient& client, const std::string& url) {
  constexpr int width = 64;
  constexpr int batches = 4;
  const auto ours = [&] {
    const double start = bench::thread_cpu();
    for (int batch = 0; batch < batches; ++batch) {
      std::vector<PendingCall> calls;
      calls.reserve(width);
      for (int i = 0; i < width; ++i) calls.push_back(client.start(prompt));
      for (PendingCall& call : calls) need(call.wait().has_value());
    }
    return (bench::thread_cpu() - start) / (width * batches) / 1000;
  };
  struct Raw {
    Raw(const std::string& base_url, bench::Decoder decoder) : multi{curl_multi_init()} {
      for (int i = 0; i < width; ++i) clients.push_back(std::make_unique<bench::RawClient>(base_url, decoder));
    }
    ~Raw() {
      clients.clear();
      curl_multi_cleanup(multi);
    }
    double run() {
      const double start = bench::thread_cpu();
      for (int batch = 0; batch < batches; ++batch) {
        std::vector<CURL*> handles;
        for (const auto& one : clients) {
          handles.push_back(one->prepare(prompt, false));
          curl_multi_add_handle(multi, handles.back());
        }
        for (int running = 1; running > 0;) {
          curl_multi_perform(multi, &running);
          if (running > 0) curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
        }
        for (CURL* handle : handles) curl_multi_remove_handle(multi, handle);
        for (const auto& one : clients) need(one->finish() > 0);
      }
      return (bench::thread_cpu() - start) / (width * batches) / 1000;
    }
    CURLM* multi;
    std::vector<std::unique_ptr<bench::RawClient>> clients;
  };
  Raw with_simdjson{url, bench::Decoder::simdjson};
  Raw with_nlohmann{url, bench::Decoder::nlohmann};
  report_against_raw("call64.cpu", "us",
                     bench::medians({{"backstop", ours},
                                     {"raw_simdjson", [&] { return with_simdjson.run(); }},
                                     {"raw_nlohmann", [&] { return with_nlohmann.run(); }}},
                                    rounds));
}

void streamed_events(const FallbackClient& client, const std::string& url, int events) {
  constexpr int calls = 10;
  const auto ours = [&] {
    const double start = bench::thread_cpu();
    for (int i = 0; i < calls; ++i) {
      std::size_t size = 0;
      for (const StreamEvent& event : client.stream(prompt)) size += event.delta.size();
      need(size > 0);
    }
    return (bench::thread_cpu() - start) / calls / events;
  };
  bench::RawClient with_simdjson{url, bench::Decoder::simdjson};
  bench::RawClient with_nlohmann{url, bench::Decoder::nlohmann};
  const auto raw = [&](bench::RawClient& one) {
    const double start = bench::thread_cpu();
    for (int i = 0; i < calls; ++i) need(one.call(prompt, true) > 0);
    return (bench::thread_cpu() - start) / calls / events;
  };
  report_against_raw("event.cpu", "ns",
                     bench::medians({{"backstop", ours},
                                     {"raw_simdjson", [&] { return raw(with_simdjson); }},
                                     {"raw_nlohmann", [&] { return raw(with_nlohmann); }}},
                                    rounds));
}

/// What a longer stream allocates more than a shorter one, per event.
void event_allocations(const FallbackClient& client, faults::FaultServer& server) {
  const auto count = [&](int events) {
    server.always(faults::memoised(faults::answer(words(events))));
    std::uint64_t least = UINT64_MAX;
    for (int i = 0; i < 20; ++i) {
      const std::uint64_t before = bench::allocations();
      for (const StreamEvent& event : client.stream(prompt)) need(event.type != StreamEvent::Type::failed);
      least = std::min(least, bench::allocations() - before);
    }
    return static_cast<double>(least);
  };
  const double shorter = count(200);
  bench::report("event.allocations", "1", (count(2200) - shorter) / 2000);
}

/// What a dead first target adds to a call: the whole way there and back, until the second is asked.
void failover(faults::FaultServer& dead, const FallbackClient& client, const FallbackClient& only_second) {
  constexpr int calls = 50;
  dead.always(faults::memoised(faults::status(502)));
  const auto time = [](const FallbackClient& one) {
    const double start = bench::wall();
    for (int i = 0; i < calls; ++i) need(one.chat(prompt).has_value());
    return (bench::wall() - start) / calls / 1000;
  };
  const std::vector<double> both =
      bench::medians({{"with", [&] { return time(client); }}, {"without", [&] { return time(only_second); }}}, rounds);
  bench::report("failover.time", "us", both[0] - both[1]);
}

/// Keeps client and server on one CPU: what waking another, idle one costs is no work of either client, and is counted
/// to whichever happens to wait.
void stay_on_one_cpu() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
#endif
}

}  // namespace

int main(int argc, char** argv) {
  stay_on_one_cpu();
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (argc > 1 && std::string_view{argv[1]} == "held") {
    bench::held_streams();
    return 0;
  }
  if (argc > 1 && std::string_view{argv[1]} == "wires") {
    bench::wires();
    return 0;
  }
  constexpr int events = 400;
  faults::FaultServer first;
  faults::FaultServer second;
  second.always(faults::memoised(faults::answer(words(120))));
  const std::string url = first.base_url("/v1");
  try {
    const FallbackClient client = client_for(first, second, runtime_of_its_own());
    first.always(faults::memoised(faults::answer(words(120))));
    plain_calls(client, url);
    parallel_calls(client, url);
    first.always(faults::memoised(faults::coalesced(faults::answer(words(events)))));
    streamed_events(client, url, events);
    event_allocations(client, first);
    bench::wires();
    bench::policies_on_an_instant_provider(runtime_of_its_own());
    bench::strategies_among_sixteen(runtime_of_its_own());

    const auto failing = [&](const char* name, const faults::FaultServer& server) {
      return openai_compatible({.model = "m", .api_key = "key", .base_url = server.base_url("/v1"), .name = name}) |
             timeout(TimeoutOptions{});
    };
    FallbackOptions options;
    options.runtime = runtime_of_its_own();
    failover(first, FallbackClient{{failing("first", first), failing("second", second)}, options},
             FallbackClient{{failing("second", second)}, options});
    bench::held_streams();
  } catch (const std::exception& fault) {
    fmt::print(stderr, "backstop-bench: {}\n", fault.what());
    return 1;
  }
  return 0;
}
