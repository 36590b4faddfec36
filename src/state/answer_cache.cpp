#include "backstop/state/answer_cache.hpp"

#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace backstop::inline v0 {
namespace {

struct PartSize {
  std::size_t operator()(const Text& part) const noexcept { return part.text.size(); }
  std::size_t operator()(const Image& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Document& part) const noexcept { return part.url.size() + part.data.size(); }
  std::size_t operator()(const Audio& part) const noexcept { return part.data.size(); }
  std::size_t operator()(const Reasoning& part) const noexcept {
    return part.text.size() + part.signature.size() + part.redacted.size();
  }
  std::size_t operator()(const ToolCall& part) const noexcept { return part.name.size() + part.arguments.size(); }
  std::size_t operator()(const ToolResult& part) const noexcept { return part.text.size(); }
};

/// About what an entry takes, what the containers need for it included.
std::size_t size_of(const std::string& key, const ChatResponse& answer) {
  constexpr std::size_t frame = 256;
  std::size_t bytes = frame + key.size() + sizeof(ChatResponse) + answer.parts.capacity() * sizeof(Part);
  bytes += answer.raw.size();
  for (const Part& part : answer.parts) bytes += std::visit(PartSize{}, part);
  return bytes;
}

}  // namespace

struct AnswerCache::State {
  /// An entry, and its place among all by how lately it was used.
  struct Entry {
    std::shared_ptr<const ChatResponse> answer;
    TimePoint since;
    TimePoint until;
    std::size_t bytes = 0;
    const std::string* key = nullptr;
    Entry* newer = nullptr;
    Entry* older = nullptr;
  };
  using Entries = std::unordered_map<std::string, Entry>;  // whose elements stay where they are

  State(std::size_t most_bytes, Duration longer) noexcept : max_bytes{most_bytes}, keep_outdated{longer} {}

  void push_newest(Entry& entry) noexcept {
    entry.newer = nullptr;
    entry.older = newest;
    (newest != nullptr ? newest->newer : oldest) = &entry;
    newest = &entry;
  }
  void unlink(Entry& entry) noexcept {
    (entry.newer != nullptr ? entry.newer->older : newest) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest) = entry.newer;
  }
  /// Takes an entry out; it is destroyed where the lock is no longer held.
  [[nodiscard]] Entries::node_type take(const std::string& key) {
    Entries::node_type node = entries.extract(key);
    if (!node.empty()) {
      unlink(node.mapped());
      bytes -= node.mapped().bytes;
    }
    return node;
  }

  const std::size_t max_bytes;
  const Duration keep_outdated;
  std::mutex mutex;  // guards what follows
  Entries entries;
  Entry* newest = nullptr;
  Entry* oldest = nullptr;
  std::size_t bytes = 0;
  std::int64_t hits = 0;
  std::int64_t misses = 0;
  std::int64_t dropped = 0;
};

AnswerCache::AnswerCache(std::size_t max_bytes, Duration keep_outdated)
    : state_{std::make_shared<State>(max_bytes, keep_outdated)} {
  if (max_bytes == 0) throw std::invalid_argument{"AnswerCache: max_bytes must be above 0"};
  if (keep_outdated < Duration::zero()) throw std::invalid_argument{"AnswerCache: keep_outdated must not be negative"};
}

std::shared_ptr<const ChatResponse> AnswerCache::find(const std::string& key, TimePoint now) const {
  State::Entries::node_type outdated;
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->entries.find(key);
  if (found == state_->entries.end()) {
    ++state_->misses;
    return nullptr;
  }
  State::Entry& entry = found->second;
  if (now >= entry.until) {
    ++state_->misses;
    if (now >= saturating_add(entry.until, state_->keep_outdated)) outdated = state_->take(key);
    return nullptr;
  }
  ++state_->hits;
  state_->unlink(entry);
  state_->push_newest(entry);
  return entry.answer;
}

AnswerCache::Aged AnswerCache::find_aged(const std::string& key, TimePoint now, Duration max_age) const {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->entries.find(key);
  if (found == state_->entries.end()) return {};
  const State::Entry& entry = found->second;
  const Duration age = saturating_difference(now, entry.since);
  if (age > max_age || now >= saturating_add(entry.until, state_->keep_outdated)) return {};
  return {entry.answer, age};
}

std::shared_ptr<const ChatResponse> AnswerCache::peek(const std::string& key, TimePoint now) const noexcept {
  const std::lock_guard lock{state_->mutex};
  const auto found = state_->entries.find(key);
  return found != state_->entries.end() && now < found->second.until ? found->second.answer : nullptr;
}

void AnswerCache::put(std::string key, ChatResponse answer, TimePoint now, TimePoint until) const {
  const std::size_t bytes = size_of(key, answer);
  if (bytes > state_->max_bytes) return;
  auto kept = std::make_shared<const ChatResponse>(std::move(answer));
  std::vector<State::Entries::node_type> gone;
  const std::lock_guard lock{state_->mutex};
  gone.push_back(state_->take(key));
  while (state_->bytes + bytes > state_->max_bytes) {
    gone.push_back(state_->take(*state_->oldest->key));
    ++state_->dropped;
  }
  const auto place = state_->entries.emplace(std::move(key), State::Entry{}).first;
  State::Entry& entry = place->second;
  entry.answer = std::move(kept);
  entry.since = now;
  entry.until = until;
  entry.bytes = bytes;
  entry.key = &place->first;
  state_->push_newest(entry);
  state_->bytes += bytes;
}

void AnswerCache::clear() const noexcept {
  State::Entries gone;
  const std::lock_guard lock{state_->mutex};
  gone.swap(state_->entries);
  state_->newest = nullptr;
  state_->oldest = nullptr;
  state_->bytes = 0;
}

AnswerCacheSnapshot AnswerCache::snapshot() const noexcept {
  const std::lock_guard lock{state_->mutex};
  return {state_->entries.size(), state_->bytes, state_->hits, state_->misses, state_->dropped};
}

}  // namespace backstop::inline v0
