#pragma once

#include <cstdint>

#include "server_process.hpp"

namespace backstop::real_model {

/// Ollama with SmolLM2-135M: its native wire (`base_url()`), and its OpenAI wire (`base_url("/v1")`).
///
/// Models: `smollm2`, which calls the function `add(a, b)` for "Add 3 and 4." at temperature 0, and `no-tools`, for which
/// a request with tools gets status 400. The words differ from run to run. A model is loaded by its first request.
class OllamaServer : public ServerProcess {
 public:
  /// Whether the program and the model are there.
  [[nodiscard]] static bool available();

  /// `context`: tokens of prompt and answer together, unless a request sets `num_ctx`. Throws `std::runtime_error` that
  /// says why it could not start.
  [[nodiscard]] static OllamaServer start(std::int64_t context = 1024);

  /// Kills the process that runs the model; the server goes on and loads it again for the next request.
  void kill_runner();

 private:
  explicit OllamaServer(std::int64_t context);
};

}  // namespace backstop::real_model
