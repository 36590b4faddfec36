#include "backstop/routing/strategy.hpp"

namespace backstop::inline v0 {

Strategy ordered() { return Strategy{}; }

}  // namespace backstop::inline v0
