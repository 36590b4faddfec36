#include "policies/provider_id.hpp"

#include <mutex>
#include <unordered_map>
#include <utility>

namespace backstop::inline v0::detail {

struct ProviderId::Registry {
  std::mutex mutex;  // guards what follows
  std::unordered_map<const ChatProvider*, std::weak_ptr<const Entry>> entries;
  std::uint64_t last = 0;
};

struct ProviderId::Entry {
  Entry(std::shared_ptr<Registry> of, const ChatProvider* object, std::uint64_t number) noexcept
      : registry{std::move(of)}, provider{object}, id{number} {}
  ~Entry() {
    const std::lock_guard lock{registry->mutex};
    const auto found = registry->entries.find(provider);
    // A new one may have been made since the last handle of this one went.
    if (found != registry->entries.end() && found->second.expired()) registry->entries.erase(found);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  std::shared_ptr<Registry> registry;  // which may be needed after the end of main
  const ChatProvider* provider;
  std::uint64_t id;
};

ProviderId::ProviderId(Provider provider) : provider_{std::move(provider)} {
  static const auto& registry = *new auto{std::make_shared<Registry>()};
  const ChatProvider* object = &provider_.get();
  const std::lock_guard lock{registry->mutex};
  std::weak_ptr<const Entry>& known = registry->entries[object];
  entry_ = known.lock();
  if (entry_) return;
  entry_ = std::make_shared<const Entry>(registry, object, ++registry->last);
  known = entry_;
}

std::uint64_t ProviderId::value() const noexcept { return entry_->id; }

}  // namespace backstop::inline v0::detail
