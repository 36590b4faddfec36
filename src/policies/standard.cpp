#include "backstop/policies/standard.hpp"

#include <utility>

namespace backstop::inline v0 {

Policy standard(StandardOptions options) {
  Policy policy = timeout(std::move(options.timeout)) | circuit_breaker(std::move(options.circuit_breaker));
  if (options.bulkhead) policy = policy | bulkhead(*options.bulkhead);
  if (options.rate_limit) policy = policy | rate_limit(*options.rate_limit);
  if (options.cost_cap) policy = policy | cost_cap(std::move(*options.cost_cap));
  return policy | retry(std::move(options.retry));
}

}  // namespace backstop::inline v0
