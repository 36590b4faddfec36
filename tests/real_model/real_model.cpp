#include "real_model.hpp"

#include <string>
#include <utility>
#include <vector>

namespace backstop::real_model {
namespace {

std::vector<std::string> arguments_for(const ServerOptions& options) {
  std::vector<std::string> arguments{"--context", std::to_string(options.context),     "--alias",
                                     options.alias, "--ping-seconds", std::to_string(options.pings.count())};
  if (!options.api_key.empty()) arguments.insert(arguments.end(), {"--api-key", options.api_key});
  if (options.tools) arguments.insert(arguments.end(), {"--chat-template", source_file("tool_template.jinja")});
  return arguments;
}

}  // namespace

RealModelServer RealModelServer::start(const ServerOptions& options) { return RealModelServer{options}; }

RealModelServer::RealModelServer(const ServerOptions& options)
    : ServerProcess{"real_model_server.py", arguments_for(options)} {
  wait_for_state("loading", std::chrono::seconds{30});
  if (options.wait_until_ready) wait_until_ready();
}

void RealModelServer::wait_until_ready(std::chrono::milliseconds timeout) { wait_for_state("ready", timeout); }

}  // namespace backstop::real_model
