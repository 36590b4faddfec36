#include "routing/strategies.hpp"

namespace backstop::inline v0 {

Strategy first_ready() {
  return detail::stateless("first_ready", [](Choice& choice) {
    for (std::size_t candidate = 0; candidate < choice.size(); ++candidate) {
      if (choice.held_back(candidate) || !choice.ready(candidate)) continue;
      return choice.prefer(candidate);
    }
  });
}

}  // namespace backstop::inline v0
