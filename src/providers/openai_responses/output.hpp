#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "providers/wire/answer_builder.hpp"
#include "providers/wire/json_document.hpp"

namespace backstop::inline v0::detail {

/// What an item of the output is to us. Calls that the provider runs itself and whatever else there may be in time are
/// passed over.
enum class ItemKind : std::uint8_t { ignored, message, reasoning, call };

/// How the answer takes a text.
using Take = void (AnswerBuilder::*)(std::string_view);

/// Puts the items of a response together, whether they come whole, in pieces, or in pieces and then whole: the wire
/// repeats everything up to three times, and servers leave out one or the other.
class OutputReader {
 public:
  struct Item {
    ItemKind kind = ItemKind::ignored;
    std::int64_t number = 0;  ///< ours
    std::string id;           ///< of the call, else of the item; empty while it is not known
    std::string text;         ///< so far: of a message, of reasoning, or the arguments of a call
    std::size_t part = 0;     ///< where in it the part begins that is being written
    bool named = false;       ///< the call is known to the answer
    bool ended = false;       ///< it came whole
  };

  /// How an event says of which item it is: by the place in the output and by an id. At some servers ids change from
  /// event to event, at others all items have the same place, or the same id.
  struct Place {
    std::optional<std::int64_t> index;
    std::string_view id;
  };

  Item* find(const Place& place);
  Item& begin(ItemKind kind, const Place& place, AnswerBuilder& answer);
  /// As it begins in a stream.
  void read_beginning(const JsonElement& element, const Place& place, AnswerBuilder& answer);
  /// As it stands whole, at its end or in the response.
  void read_whole(const JsonElement& element, const Place& place, AnswerBuilder& answer);
  void add(Item& item, Take take, std::string_view delta, AnswerBuilder& answer);
  void add_arguments(Item& item, std::string_view delta, AnswerBuilder& answer);
  /// The part that is being written, as it stands whole. An item's end decides where the two disagree.
  void end_part(Item& item, Take take, std::string_view whole, AnswerBuilder& answer);
  void end_arguments(Item& item, std::string_view whole, AnswerBuilder& answer);
  /// The whole output of a response whose end has come.
  void read_output(const JsonElement& output, AnswerBuilder& answer);
  /// Nothing more comes.
  void finish(AnswerBuilder& answer) const;

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  static constexpr std::size_t most_items = 100'000;

  [[nodiscard]] static std::string id_of(const JsonElement& element, ItemKind kind);
  [[nodiscard]] static bool are_one(std::string_view id, std::string_view other) noexcept;
  Item* remember(const Place& place, std::size_t at);
  /// A call is known by its own id before its place.
  Item* find_call(const Place& place, std::string_view id);
  void name(Item& item, const JsonElement& element, AnswerBuilder& answer);
  void end_call(Item& item, const JsonElement& element, AnswerBuilder& answer);
  void end_words(Item& item, const JsonElement& element, AnswerBuilder& answer);
  /// After a stream: all that was said is said again, but under ids, and at places, that may be others.
  void compare_output(const JsonArray& list, AnswerBuilder& answer);
  // It may have begun in the stream without an end.
  void read_whole_call(const JsonElement& element, std::string_view id, AnswerBuilder& answer);
  [[nodiscard]] std::size_t count_of_whole_calls() const;
  [[nodiscard]] std::string text_so_far(ItemKind kind) const;

  std::vector<Item> items_;
  std::map<std::int64_t, std::size_t> by_index_;
  std::map<std::string, std::size_t, std::less<>> by_id_;
  std::map<std::string, std::size_t, std::less<>> by_call_id_;
  std::optional<std::int64_t> last_index_;  // of the item that was asked for last
  std::string last_id_;
  std::size_t last_ = none;
  std::set<std::string, std::less<>> call_ids_;  // of calls that came whole
  std::size_t no_open_call_before_ = 0;
};

}  // namespace backstop::inline v0::detail
