#include "backstop/state/answer_cache.hpp"

#include <list>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <variant>

namespace backstop::inline v0 {
namespace {

struct PartSize {
  std::size_t operator()(const Text& part) const noexcept { return part.text.size(); }
  std::size_t operator()(const Image& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Document& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Reasoning& part) const noexcept {
    return part.text.size() + part.signature.size() + part.redacted.size();
  }
  std::size_t operator()(const ToolCall& part) const noexcept { return part.name.size() + part.arguments.size(); }
  std::size_t operator()(const ToolResult& part) const noexcept { return part.text.size(); }
};

/// About what an entry takes, what the containers need for it included.
std::size_t size_of(std::string_view key, const ChatResponse& answer) {
  constexpr std::size_t frame = 256;
  std::size_t bytes = frame + key.size() + sizeof(ChatResponse) + answer.parts.capacity() * sizeof(Part);
  for (const Part& part : answer.parts) bytes += std::visit(PartSize{}, part);
  return bytes;
}

}  // namespace

struct AnswerCache::State {
  struct Entry {
    std::string key;
    std::shared_ptr<const ChatResponse> answer;
    TimePoint until;
    std::size_t bytes;
  };
  using Entries = std::list<Entry>;  // the most recently used first

  explicit State(std::size_t most_bytes) noexcept : max_bytes{most_bytes} {}

  Entries erase(Entries::iterator entry) noexcept {
    bytes -= entry->bytes;
    by_key.erase(entry->key);
    Entries erased;
    erased.splice(erased.begin(), entries, entry);
    return erased;
  }

  const std::size_t max_bytes;
  std::mutex mutex;  // guards what follows
  Entries entries;
  std::unordered_map<std::string_view, Entries::iterator> by_key;  // views of the entries' own keys
  std::size_t bytes = 0;
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::int64_t dropped = 0;
};

AnswerCache::AnswerCache(std::size_t max_bytes) : state_{std::make_shared<State>(max_bytes)} {
  if (max_bytes == 0) throw std::invalid_argument{"AnswerCache: max_bytes must be above 0"};
}

std::size_t AnswerCache::max_bytes() const noexcept { return state_->max_bytes; }

std::shared_ptr<const ChatResponse> AnswerCache::find(std::string_view key, TimePoint now) const {
  State::Entries outdated;  // destroyed without the lock
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->by_key.find(key);
  if (found == state_->by_key.end()) {
    ++state_->misses;
    return nullptr;
  }
  const auto entry = found->second;
  if (now >= entry->until) {
    ++state_->misses;
    outdated = state_->erase(entry);
    return nullptr;
  }
  ++state_->hits;
  state_->entries.splice(state_->entries.begin(), state_->entries, entry);
  return entry->answer;
}

void AnswerCache::put(std::string key, ChatResponse answer, TimePoint until) const {
  const std::size_t bytes = size_of(key, answer);
  if (bytes > state_->max_bytes) return;
  State::Entries fresh;
  fresh.push_back({std::move(key), std::make_shared<const ChatResponse>(std::move(answer)), until, bytes});
  State::Entries gone;  // destroyed without the lock
  const std::lock_guard lock{state_->mutex};
  if (const auto older = state_->by_key.find(fresh.front().key); older != state_->by_key.end()) {
    gone.splice(gone.end(), state_->erase(older->second));
  }
  while (state_->bytes + bytes > state_->max_bytes) {
    gone.splice(gone.end(), state_->erase(std::prev(state_->entries.end())));
    ++state_->dropped;
  }
  state_->by_key.emplace(fresh.front().key, fresh.begin());
  state_->entries.splice(state_->entries.begin(), fresh);
  state_->bytes += bytes;
}

void AnswerCache::clear() const noexcept {
  State::Entries gone;
  const std::lock_guard lock{state_->mutex};
  state_->by_key.clear();
  gone.swap(state_->entries);
  state_->bytes = 0;
}

AnswerCacheSnapshot AnswerCache::snapshot() const noexcept {
  const std::lock_guard lock{state_->mutex};
  return {state_->entries.size(), state_->bytes, state_->hits, state_->misses, state_->dropped};
}

}  // namespace backstop::inline v0
