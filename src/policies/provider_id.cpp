#include "policies/provider_id.hpp"

#include <map>
#include <mutex>
#include <utility>

#include "process/never_destroyed.hpp"

namespace backstop::inline v0::detail {

/// Entries may go after the end of main.
struct ProviderId::Registry {
  std::mutex mutex;  // guards what follows
  std::map<const ChatProvider*, std::weak_ptr<const Entry>> entries;
  std::uint64_t last = 0;
};

struct ProviderId::Entry {
  Entry(Registry& of, const ChatProvider* object, std::uint64_t number) noexcept
      : registry{&of}, provider{object}, id{number} {}
  ~Entry() {
    const std::lock_guard lock{registry->mutex};
    const auto found = registry->entries.find(provider);
    // A new one may have been made since the last handle of this one went.
    if (found != registry->entries.end() && found->second.expired()) registry->entries.erase(found);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  Registry* registry;
  const ChatProvider* provider;
  std::uint64_t id;
};

ProviderId::ProviderId(Provider provider) : provider_{std::move(provider)} {
  static NeverDestroyed<Registry> kept;
  Registry& registry = *kept;
  const ChatProvider* object = &provider_.get();
  const std::lock_guard lock{registry.mutex};
  std::weak_ptr<const Entry>& known = registry.entries[object];
  entry_ = known.lock();
  if (entry_) return;
  entry_ = std::make_shared<const Entry>(registry, object, ++registry.last);
  known = entry_;
}

std::uint64_t ProviderId::value() const noexcept { return entry_->id; }

}  // namespace backstop::inline v0::detail
