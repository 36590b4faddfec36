#include "ollama_server.hpp"

#include <chrono>
#include <filesystem>
#include <string>

namespace backstop::real_model {

bool OllamaServer::available() {
  return has_model_packages() && std::filesystem::exists(BACKSTOP_OLLAMA_PROGRAM);
}

OllamaServer OllamaServer::start(std::int64_t context) { return OllamaServer{context}; }

OllamaServer::OllamaServer(std::int64_t context)
    : ServerProcess{"ollama_server.py", {BACKSTOP_OLLAMA_PROGRAM, "--context", std::to_string(context)}} {
  wait_for_state("loading", std::chrono::seconds{30});
  wait_for_state("ready", std::chrono::seconds{60});
}

void OllamaServer::kill_runner() {
  send_line("kill-runner");
  wait_for_state("runner-killed", std::chrono::seconds{10});
}

}  // namespace backstop::real_model
