#include <stdexcept>

#include "routing/strategies.hpp"

namespace backstop::inline v0 {

Strategy choose_by(std::string name, std::function<void(Choice&)> order) {
  if (!order) throw std::invalid_argument{"choose_by: the function is empty"};
  return detail::stateless(std::move(name), std::move(order));
}

}  // namespace backstop::inline v0
