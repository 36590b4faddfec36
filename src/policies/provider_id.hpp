#pragma once

#include <cstdint>
#include <memory>

#include "backstop/provider.hpp"

namespace backstop::inline v0::detail {

/// A number for the object behind a provider: equal for all handles of the same object, different for any two objects,
/// those that have gone included. Two stacks around the same model are different objects.
///
/// The number holds as long as one of these lives; made again after the last one has gone it is another. The provider
/// is kept alive, so that no other object takes its place in memory meanwhile.
/// Thread safety: any number of threads. Cost: a lock when it is made and when it goes.
class ProviderId {
 public:
  explicit ProviderId(Provider provider);
  [[nodiscard]] std::uint64_t value() const noexcept;

 private:
  struct Registry;
  struct Entry;

  Provider provider_;  // released after the entry
  std::shared_ptr<const Entry> entry_;
};

}  // namespace backstop::inline v0::detail
