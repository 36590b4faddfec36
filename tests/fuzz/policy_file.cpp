#include "backstop/config/config.hpp"

#include "backstop/fallback_client.hpp"
#include "fuzz/targets.hpp"

namespace backstop::fuzz {

/// A policy file: complaints are bounded in number by the file, and what is accepted makes a client, or says why not.
void policy_file(std::string_view bytes) {
  // It may name any file of this machine, a terminal among them.
  if (bytes.find("catalog") != std::string_view::npos || bytes.find('\\') != std::string_view::npos) return;
  const Result<Config> config = parse_config(bytes);
  if (!config) {
    require(config.error().kind == ErrorKind::invalid_request, "a bad policy is no invalid request");
    require(!config.error().message.empty(), "a complaint is empty");
    require(config.error().message.size() < 10'000 + bytes.size() * 200, "complaints are longer than they need be");
    return;
  }
  require(!config->targets.empty(), "a policy is accepted without a target");
  const Result<FallbackClient> client = FallbackClient::from_config(*config);
  if (!client) {
    require(!client.error().message.empty(), "a refusal says nothing");
    return;
  }
  require(!client->describe().empty(), "a client describes itself by nothing");
  static_cast<void>(client->explain("Hi"));
}

}  // namespace backstop::fuzz
