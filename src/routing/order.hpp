#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "backstop/chat/attempt.hpp"

namespace backstop::inline v0::detail {

/// In which order the candidates of a client are asked in one call. Up to 16 stand in it without an allocation.
class Order {
 public:
  static constexpr std::size_t most_inline = 16;

  /// As they are listed.
  explicit Order(std::size_t size) : size_{size} {}
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Whether anybody has decided on it.
  [[nodiscard]] bool as_listed() const noexcept { return entries_ == nullptr; }
  [[nodiscard]] std::size_t at(std::size_t place) const noexcept {
    return as_listed() ? place : entries_[place].candidate;
  }
  [[nodiscard]] std::size_t place_of(std::size_t candidate) const noexcept {
    std::size_t place = candidate;
    if (!as_listed()) {
      for (place = 0; entries_[place].candidate != candidate;) ++place;
    }
    return place;
  }
  [[nodiscard]] double score_of(std::size_t candidate) const noexcept {
    return as_listed() ? 0 : entries_[candidate].score;
  }

  /// Begins to decide: each in its listed place, with a score of 0.
  void open() {
    if (size_ > most_inline && !many_) many_ = std::make_unique<Entry[]>(size_);
    entries_ = many_ ? many_.get() : few_.data();
    for (std::size_t i = 0; i < size_; ++i) entries_[i] = {0, static_cast<std::uint32_t>(i), 0, false};
  }
  /// Back to the list: who decided has failed, and nothing of that is to be seen.
  void undo() noexcept {
    for (std::size_t i = 0; i < size_; ++i) {
      entries_[i].candidate = static_cast<std::uint32_t>(i);
      entries_[i].score = 0;
    }
    note_.reset();
    undone_ = true;
  }
  [[nodiscard]] bool undone() const noexcept { return undone_; }
  void set_score(std::size_t candidate, double score) noexcept { entries_[candidate].score = score; }
  void set_note(std::size_t candidate, const SessionMove& move) noexcept {
    noted_ = candidate;
    note_ = move;
  }
  /// Null where there is none.
  [[nodiscard]] const SessionMove* note_of(std::size_t candidate) const noexcept {
    return note_ && noted_ == candidate ? &*note_ : nullptr;
  }
  /// How much it is held back: those of rank 0 go first, then those of 1, ...
  [[nodiscard]] std::uint16_t rank_of(std::size_t candidate) const noexcept { return entries_[candidate].rank; }
  void set_rank(std::size_t candidate, std::uint16_t rank) noexcept { entries_[candidate].rank = rank; }
  /// Whether it goes before others only because these are held back.
  [[nodiscard]] bool overtakes(std::size_t candidate) const noexcept { return !as_listed() && entries_[candidate].overtakes; }
  void sort_by_rank() noexcept {
    std::uint16_t highest = 0;
    for (std::size_t place = 0; place < size_; ++place) {
      Entry& entry = entries_[entries_[place].candidate];
      entry.overtakes = entry.rank < highest;
      highest = std::max(highest, entry.rank);
    }
    sort([this](std::size_t a, std::size_t b) { return rank_of(a) < rank_of(b); });
  }

  /// `from` and `to` are places.
  void move(std::size_t from, std::size_t to) noexcept {
    const std::uint32_t moved = entries_[from].candidate;
    for (; from > to; --from) entries_[from].candidate = entries_[from - 1].candidate;
    for (; from < to; ++from) entries_[from].candidate = entries_[from + 1].candidate;
    entries_[to].candidate = moved;
  }
  /// `goes_before(a, b)`: of two candidates. Those of which neither goes before the other keep their order.
  template <class GoesBefore>
  void sort(const GoesBefore& goes_before) noexcept {
    for (std::size_t place = 1; place < size_; ++place) {
      std::size_t to = place;
      while (to > 0 && goes_before(entries_[place].candidate, entries_[to - 1].candidate)) --to;
      if (to != place) move(place, to);
    }
  }

 private:
  // The candidate that stands in this place; the rest is of the candidate that is listed here.
  struct Entry {
    double score;
    std::uint32_t candidate;
    std::uint16_t rank;
    bool overtakes;
  };

  std::size_t size_;
  Entry* entries_ = nullptr;
  std::array<Entry, most_inline> few_;
  std::unique_ptr<Entry[]> many_;
  bool undone_ = false;
  std::size_t noted_ = 0;
  std::optional<SessionMove> note_;
};

}  // namespace backstop::inline v0::detail
