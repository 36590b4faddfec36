#include <stdexcept>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {

Strategy::Strategy(std::string description, Make make) {
  if (!make) throw std::invalid_argument{"Strategy: the function that makes it is empty"};
  recipe_ = std::make_shared<const Recipe>(Recipe{std::move(description), std::move(make)});
}

Strategy choose_by(std::string name, std::function<void(Choice&)> order) {
  if (!order) throw std::invalid_argument{"choose_by: the function is empty"};
  return detail::stateless(std::move(name), std::move(order));
}

}  // namespace backstop::inline v0
