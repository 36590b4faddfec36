#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "server_process.hpp"

namespace backstop::real_model {

struct ServerOptions {
  std::int64_t context = 1024;  ///< tokens of prompt and answer together; a longer prompt gets status 400
  std::string api_key{};        ///< the only key that is accepted; empty: any, or none
  std::string alias = "smollm2";
  bool tools = false;              ///< a chat template that knows tools, instead of the model's own
  std::chrono::seconds pings{30};  ///< between comment lines while a stream is silent
  bool wait_until_ready = true;    ///< false: `start()` returns while the model loads and requests get status 503
};

/// llama.cpp's HTTP server with SmolLM2-135M, in a process of its own: a real model on the OpenAI wire
/// (`base_url("/v1")`) and the Anthropic wire (`base_url()`).
///
/// What tests have to know: its words differ from run to run, even at temperature 0, so assert shapes. It has one slot
/// and queues further requests. A call of the function `add(a, b)` for "Add 3 and 4." is reliable at temperature 0
/// only. Every model name is accepted, and `alias` is reported. On the Anthropic wire errors have the OpenAI shape.
/// Killed, its open streams end with FIN within some 30 ms, without terminal marker; new connections are refused.
class RealModelServer : public ServerProcess {
 public:
  /// Starts a server. Throws `std::runtime_error` that says why it could not.
  [[nodiscard]] static RealModelServer start(const ServerOptions& options = {});

  /// Waits for the model to be loaded. Throws `std::runtime_error` if that fails or takes longer.
  void wait_until_ready(std::chrono::milliseconds timeout = std::chrono::seconds{60});

  using ServerProcess::kill;
  /// Silence: streams stay open, and the kernel goes on accepting connections.
  using ServerProcess::stop;
  /// Streams go on where they stood.
  using ServerProcess::cont;

 private:
  explicit RealModelServer(const ServerOptions& options);
};

}  // namespace backstop::real_model
