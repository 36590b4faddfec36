#include "identifiers.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t digits_of_new_id = 24;
constexpr std::string_view prefix_of_new_id = "call_";
constexpr std::size_t digits_of_name_suffix = 6;

/// That many base 62 digits that depend on the whole text and on `salt`. Not cryptographic: collisions are looked for
/// by the caller.
[[nodiscard]] std::string scramble(std::string_view text, std::uint64_t salt, std::size_t digits) {
  constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  constexpr std::size_t digits_per_word = 10;  // 62^10 is a little below 2^60

  std::uint64_t state = 0xcbf29ce484222325U;  // FNV-1a
  for (const char letter : text) state = (state ^ static_cast<unsigned char>(letter)) * 0x100000001b3U;
  state ^= salt * 0x9e3779b97f4a7c15U;

  std::string out;
  while (out.size() < digits) {
    state += 0x9e3779b97f4a7c15U;  // splitmix64
    std::uint64_t word = state;
    word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
    word ^= word >> 31U;
    for (std::size_t i = 0; i < digits_per_word && out.size() < digits; ++i) {
      out += alphabet[word % alphabet.size()];
      word /= alphabet.size();
    }
  }
  return out;
}

[[nodiscard]] bool is_alphanumeric(char letter) noexcept {
  return (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
}

}  // namespace

bool is_tool_name(std::string_view name, std::size_t most_size) noexcept {
  return !name.empty() && name.size() <= most_size && std::all_of(name.begin(), name.end(), [](char letter) {
    return is_alphanumeric(letter) || letter == '_' || letter == '-';
  });
}

std::string ToolIdAssigner::assign(const std::string& id) {
  if (rule_->accepts(id) && used_.insert(id).second) return id;
  std::string replaced = replacement(id);
  renamed_.emplace_back(id, replaced);
  return replaced;
}

std::string ToolIdAssigner::replacement(std::string_view id) {
  const bool underscore = rule_->any_character || rule_->punctuation.find('_') != std::string_view::npos;
  if (underscore) {
    // Most foreign ids differ in a character or two, and stay readable.
    std::string mended{id};
    std::replace_if(
        mended.begin(), mended.end(),
        [this](char letter) {
          return !rule_->accepts({&letter, 1});
        },
        '_');
    if (rule_->accepts(mended) && used_.insert(mended).second) return mended;
  }
  const std::string_view prefix = underscore && rule_->most_size >= prefix_of_new_id.size() + digits_of_new_id
                                      ? prefix_of_new_id
                                      : std::string_view{};
  const std::size_t digits = std::clamp(digits_of_new_id, rule_->least_size, rule_->most_size);
  for (std::uint64_t salt = 0;; ++salt) {
    std::string made = std::string{prefix} + scramble(id, salt, digits);
    if (used_.insert(made).second) return made;
  }
}

void ToolNameAssigner::reserve(const std::string& name) {
  if (!is_tool_name(name, most_size_)) return;
  used_.insert(name);
  assigned_.emplace(name, name);
}

const std::string& ToolNameAssigner::assign(const std::string& name) {
  if (const auto known = assigned_.find(name); known != assigned_.end()) return known->second;
  std::string candidate = name.empty() ? std::string{"_"} : name.substr(0, most_size_);
  std::replace_if(
      candidate.begin(), candidate.end(),
      [](char letter) { return !is_alphanumeric(letter) && letter != '_' && letter != '-'; }, '_');
  if (candidate != name || used_.contains(candidate)) {
    const std::string stem = candidate.substr(0, most_size_ - digits_of_name_suffix - 1);
    for (std::uint64_t salt = 0; used_.contains(candidate); ++salt) {
      candidate = stem + "_" + scramble(name, salt, digits_of_name_suffix);
    }
    renamed_.emplace_back(name, candidate);
  }
  used_.insert(candidate);
  return assigned_.emplace(name, std::move(candidate)).first->second;
}

}  // namespace backstop::inline v0::detail
