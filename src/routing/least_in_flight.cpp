#include "routing/strategies.hpp"

namespace backstop::inline v0 {

Strategy least_in_flight() {
  return detail::stateless("least_in_flight", [](Choice& choice) {
    choice.sort_by([&choice](std::size_t candidate) { return static_cast<double>(choice.in_flight(candidate)); });
  });
}

}  // namespace backstop::inline v0
