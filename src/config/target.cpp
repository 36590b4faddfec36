#include "backstop/config/target.hpp"

#include <cstddef>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "config/route.hpp"

namespace backstop::inline v0 {

Provider target(std::string_view name, ModelOptions options, std::string_view wire) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == name.size()) {
    throw std::invalid_argument{
        fmt::format("target: \"{}\" must be \"provider/model\", such as \"openai/gpt-5.6-sol\"", name)};
  }
  TargetConfig config;
  config.model = std::move(options);
  config.model.name = name.substr(0, slash);
  config.model.model = name.substr(slash + 1);
  config.wire = wire;
  if (detail::route_of(config).base_url.empty()) {
    throw std::invalid_argument{
        fmt::format("target: the address of the provider \"{}\" is not known; give its `base_url`", config.model.name)};
  }
  const Credentials keys = config.model.credentials;
  return detail::provider_for(config, keys);
}

}  // namespace backstop::inline v0
