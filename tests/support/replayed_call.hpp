#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backstop/runtime/runtime.hpp"
#include "backstop/testing/event_log.hpp"
#include "backstop/testing/virtual_clock.hpp"
#include "replay_transport.hpp"
#include "call/root_call.hpp"

namespace backstop::testing_support {

/// What came of a call, and what was seen on the way.
struct ReplayedCall {
  Result<ChatResponse> result;
  std::vector<testing::RecordedEvent> events;  ///< with streaming
  std::vector<HttpRequest> requests;
  Duration elapsed{0};
  bool left_nothing = false;  ///< no timer, no coroutine, no transfer
};

/// Calls the provider while the network answers as recorded: the whole path but for libcurl. `prepare` may set up the
/// stream's consumer beforehand.
inline ReplayedCall call_with(const Provider& provider, const ChatRequest& request,
                              const ReplayTransport::Answering& answering, bool stream,
                              const std::function<void(testing::EventLog&, Runtime&)>& prepare = nullptr,
                              WireLog wire_log = {}) {
  testing::VirtualClock clock;
  const TimePoint start = clock.now();
  auto transport = std::make_unique<ReplayTransport>(clock, answering);
  ReplayTransport& network = *transport;
  RuntimeOptions options;
  options.clock = &clock;
  options.transport = std::move(transport);
  options.seed = 7;
  options.wire_log = std::move(wire_log);
  options.background_driver = false;
  Runtime runtime{std::move(options)};

  testing::EventLog log{runtime};
  if (prepare) prepare(log, runtime);
  detail::RootCall call{runtime, CallLimits{}, nullptr};
  Runtime::Gate gate;
  runtime.block_until(gate, [&] {
    call.start(provider.get(), request, stream ? &log : nullptr, [&] { runtime.open(gate); });
  });
  return {call.result(), log.events(), network.requests(), clock.now() - start, runtime.idle() && network.idle()};
}

/// The same where every request has the same answer.
inline ReplayedCall call_with(const Provider& provider, const ChatRequest& request, const ReplayedAnswer& answer,
                              bool stream,
                              const std::function<void(testing::EventLog&, Runtime&)>& prepare = nullptr) {
  return call_with(provider, request, [&](const HttpRequest&) { return answer; }, stream, prepare);
}

}  // namespace backstop::testing_support
