#include "backstop/chat/target.hpp"

#include <utility>

#include "process/never_destroyed.hpp"

namespace backstop::inline v0 {

Target::Target(std::string_view provider, std::string_view model, ModelFacts facts) {
  auto data = std::make_shared<Data>();
  data->provider_size = provider.size();
  data->name.reserve(provider.size() + 1 + model.size());
  data->name += provider;
  if (!provider.empty()) data->name += '/';
  data->name += model;
  data->facts = std::move(facts);
  data_ = std::move(data);
}

Target Target::parse(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos) return Target{{}, name};
  return Target{name.substr(0, slash), name.substr(slash + 1)};
}

std::string_view Target::provider() const noexcept {
  return std::string_view{data().name}.substr(0, data().provider_size);
}

std::string_view Target::model() const noexcept {
  const std::string_view name = data().name;
  return data().provider_size == 0 ? name : name.substr(data().provider_size + 1);
}

const Target::Data& Target::none() noexcept {
  static detail::NeverDestroyed<const Data> empty;
  return *empty;
}

}  // namespace backstop::inline v0
