#include "output.hpp"

#include <algorithm>
#include <utility>

#include "messages.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

ItemKind kind_of(const JsonElement& item) noexcept {
  const std::string_view type = text_of(item, "type");
  if (type == "message") return ItemKind::message;
  if (type == "reasoning") return ItemKind::reasoning;
  if (type == "function_call" || type == "custom_tool_call") return ItemKind::call;
  if (!type.empty()) return ItemKind::ignored;
  if (member(item, "arguments")) return ItemKind::call;
  if (member(item, "summary")) return ItemKind::reasoning;
  return member(item, "content") ? ItemKind::message : ItemKind::ignored;
}

/// What an item says, piece by piece: whole items repeat what was streamed.
struct Piece {
  Take take;
  std::string text;
};
using Pieces = std::vector<Piece>;

std::string joined(const Pieces& pieces) {
  std::string all;
  for (const Piece& piece : pieces) all += piece.text;
  return all;
}

void add_piece(const std::optional<JsonElement>& value, Take take, Pieces& pieces, AnswerBuilder& answer) {
  const WrittenText text{value};
  if (!text.readable()) return answer.unreadable("a text");
  if (!text.view().empty()) pieces.push_back({take, std::string{text.view()}});
}

/// A part of a message or of reasoning, which is a text, an object with a text, or something that has none.
void add_part(const JsonElement& part, Take take, Pieces& pieces, AnswerBuilder& answer) {
  if (!part.is_object()) return add_piece(part, take, pieces, answer);
  const std::string_view type = text_of(part, "type");
  const bool refusal = type == "refusal" || (type.empty() && member(part, "refusal"));
  if (refusal) return add_piece(member(part, "refusal"), &AnswerBuilder::refusal, pieces, answer);
  const bool has_text = type == "output_text" || type == "text" || type == "reasoning_text" || type == "summary_text";
  if (has_text || (type.empty() && member(part, "text"))) return add_piece(member(part, "text"), take, pieces, answer);
  if (type.empty()) answer.unreadable("a part");
}

void add_parts(const JsonElement& item, std::string_view key, Take take, Pieces& pieces, AnswerBuilder& answer) {
  const std::optional<JsonElement> value = member(item, key);
  JsonArray parts;
  if (value && value->get(parts) == simdjson::SUCCESS) {
    for (const JsonElement part : parts) add_part(part, take, pieces, answer);
  } else if (value) {
    add_part(*value, take, pieces, answer);
  }
}

/// The words of a message, or of reasoning: its summary, then what a server shows of the thoughts themselves.
void add_words(const JsonElement& item, ItemKind kind, Pieces& pieces, AnswerBuilder& answer) {
  if (kind == ItemKind::reasoning) add_parts(item, "summary", &AnswerBuilder::reasoning, pieces, answer);
  const Take take = kind == ItemKind::reasoning ? &AnswerBuilder::reasoning : &AnswerBuilder::text;
  add_parts(item, "content", take, pieces, answer);
}

/// A call's arguments as text; a custom tool's input is a text of any form.
std::string arguments_of(const JsonElement& item) {
  const std::optional<JsonElement> arguments = member(item, "arguments");
  return text_or_json(arguments ? arguments : member(item, "input"));
}

std::string call_id_of(const JsonElement& item) {
  const WrittenText id{member(item, "call_id")};
  return std::string{id.view().empty() ? text_of(item, "id") : id.view()};
}

/// Hands over what of `whole` has not been streamed. Where the two disagree, words were lost on the way.
void catch_up(const Pieces& whole, std::string_view seen, AnswerBuilder& answer) {
  std::size_t position = 0;
  for (const Piece& piece : whole) {
    const std::size_t common = std::min(piece.text.size(), seen.size() - position);
    if (piece.text.compare(0, common, seen.substr(position, common)) != 0) {
      // Some servers trim what they repeat.
      const std::string all = joined(whole);
      if (!trim(seen).starts_with(trim(all))) answer.unreadable("a text that was sent twice and differs");
      return;
    }
    position += common;
    if (common < piece.text.size()) (answer.*piece.take)(std::string_view{piece.text}.substr(common));
  }
}

/// Some servers write a call's arguments as text in the pieces and as an object in the whole.
bool are_same_json(std::string_view text, std::string_view other) {
  const JsonDocument one{text};
  const JsonDocument two{other};
  return one.valid() && two.valid() && json_of(one.root()) == json_of(two.root());
}

}  // namespace

OutputReader::Item* OutputReader::find(const Place& place) {
  if (last_ != none && last_index_ == place.index && last_id_ == place.id) return &items_[last_];
  const auto index = place.index ? by_index_.find(*place.index) : by_index_.end();
  const auto id = place.id.empty() ? by_id_.end() : by_id_.find(place.id);
  // Where the two disagree one of them is shared by several items, and leads to the last of those.
  const std::size_t at =
      std::min(index == by_index_.end() ? none : index->second, id == by_id_.end() ? none : id->second);
  if (at != none) return remember(place, at);
  const bool unplaced = !place.index && place.id.empty();
  return unplaced && !items_.empty() && !items_.back().ended ? &items_.back() : nullptr;
}

OutputReader::Item& OutputReader::begin(ItemKind kind, const Place& place, AnswerBuilder& answer) {
  const std::size_t at = items_.size();
  if (at == most_items) answer.unreadable("an output of more than 100,000 items");
  Item& item = items_.emplace_back();
  item.kind = kind;
  item.number = static_cast<std::int64_t>(at);
  if (place.index) by_index_[*place.index] = at;
  if (!place.id.empty()) by_id_[std::string{place.id}] = at;
  remember(place, at);
  if (kind != ItemKind::ignored) answer.end_part();
  return item;
}

void OutputReader::read_beginning(const JsonElement& element, const Place& place, AnswerBuilder& answer) {
  const ItemKind kind = kind_of(element);
  std::string id = id_of(element, kind);
  if (kind == ItemKind::call && call_ids_.contains(id)) return;  // it came whole before
  Item* item = find(place);
  const bool same = item != nullptr && item->kind == kind && !item->ended && are_one(item->id, id);
  if (!same) item = &begin(kind, place, answer);
  if (item->id.empty()) item->id = std::move(id);
  if (kind == ItemKind::call) name(*item, element, answer);
}

void OutputReader::read_whole(const JsonElement& element, const Place& place, AnswerBuilder& answer) {
  if (!element.is_object()) {
    if (!element.is_null()) answer.unreadable("an item");
    return;
  }
  const ItemKind kind = kind_of(element);
  if (kind == ItemKind::ignored && text_of(element, "type").empty()) return answer.unreadable("an item");
  const std::string id = id_of(element, kind);
  if (kind == ItemKind::call && call_ids_.contains(id)) return;
  Item* item = kind == ItemKind::call ? find_call(place, id) : find(place);
  const bool other = item != nullptr && (item->kind != kind || (item->ended && !are_one(item->id, id)));
  if (item == nullptr || other) item = &begin(kind, place, answer);
  if (item->ended) return;
  if (item->id.empty()) item->id = id;
  if (kind == ItemKind::call) end_call(*item, element, answer);
  if (kind == ItemKind::message || kind == ItemKind::reasoning) end_words(*item, element, answer);
}

void OutputReader::add(Item& item, Take take, std::string_view delta, AnswerBuilder& answer) {
  if (item.ended) return;  // it came whole before
  item.text.append(delta);
  (answer.*take)(delta);
}

void OutputReader::add_arguments(Item& item, std::string_view delta, AnswerBuilder& answer) {
  if (item.ended) return;
  item.text.append(delta);
  if (item.named) answer.tool_call(item.number, {}, {}, delta);
}

void OutputReader::end_part(Item& item, Take take, std::string_view whole, AnswerBuilder& answer) {
  if (item.ended) return;
  const std::string_view seen = std::string_view{item.text}.substr(item.part);
  if (whole.starts_with(seen)) add(item, take, whole.substr(seen.size()), answer);
  item.part = item.text.size();
}

void OutputReader::end_arguments(Item& item, std::string_view whole, AnswerBuilder& answer) {
  if (whole.starts_with(item.text)) add_arguments(item, whole.substr(item.text.size()), answer);
}

void OutputReader::read_output(const JsonElement& output, AnswerBuilder& answer) {
  JsonArray list;
  if (output.get(list) != simdjson::SUCCESS) {
    if (!output.is_object()) return answer.unreadable("the output");
    read_whole(output, {}, answer);
  } else if (!items_.empty()) {
    compare_output(list, answer);
  } else {
    std::int64_t index = 0;
    for (const JsonElement element : list) read_whole(element, {index++, {}}, answer);
  }
}

void OutputReader::finish(AnswerBuilder& answer) const {
  for (const Item& item : items_) {
    const bool lost = item.kind == ItemKind::call && !item.named && !item.text.empty();
    if (lost) answer.unreadable("the name of a tool call");
  }
}

std::string OutputReader::id_of(const JsonElement& element, ItemKind kind) {
  return kind == ItemKind::call ? call_id_of(element) : std::string{text_of(element, "id")};
}

bool OutputReader::are_one(std::string_view id, std::string_view other) noexcept {
  return id.empty() || other.empty() || id == other;
}

OutputReader::Item* OutputReader::remember(const Place& place, std::size_t at) {
  last_index_ = place.index;
  last_id_.assign(place.id);
  last_ = at;
  return &items_[at];
}

OutputReader::Item* OutputReader::find_call(const Place& place, std::string_view id) {
  const auto found = by_call_id_.find(id);
  return found == by_call_id_.end() ? find(place) : &items_[found->second];
}

void OutputReader::name(Item& item, const JsonElement& element, AnswerBuilder& answer) {
  const WrittenText called{member(element, "name")};
  if (item.named || called.view().empty()) return;
  item.named = true;
  const std::string id = call_id_of(element);
  if (!id.empty()) by_call_id_.emplace(id, static_cast<std::size_t>(item.number));
  answer.tool_call(item.number, id, called.view(), item.text);
}

void OutputReader::end_call(Item& item, const JsonElement& element, AnswerBuilder& answer) {
  item.ended = true;
  name(item, element, answer);
  if (std::string id = call_id_of(element); !id.empty()) call_ids_.insert(std::move(id));
  const std::string whole = arguments_of(element);
  if (!std::string_view{whole}.starts_with(item.text)) {
    if (!whole.empty() && !are_same_json(whole, item.text)) {
      answer.unreadable("a tool call that was sent twice and differs");
    }
  } else if (whole.size() > item.text.size()) {
    answer.tool_call(item.number, {}, {}, std::string_view{whole}.substr(item.text.size()));
    item.text = whole;
  }
  answer.end_tool_call(item.number);
}

void OutputReader::end_words(Item& item, const JsonElement& element, AnswerBuilder& answer) {
  Pieces whole;
  add_words(element, item.kind, whole, answer);
  catch_up(whole, item.text, answer);
  if (std::string all = joined(whole); all.size() > item.text.size()) item.text = std::move(all);
  item.ended = !whole.empty();
  if (item.kind == ItemKind::reasoning) {
    const std::string proof = reasoning_signature(text_of(element, "id"), text_of(element, "encrypted_content"));
    answer.reasoning_signature(proof);
    item.ended = item.ended || !proof.empty();
  }
  answer.end_part();
}

void OutputReader::compare_output(const JsonArray& list, AnswerBuilder& answer) {
  Pieces text;
  Pieces reasoning;
  std::size_t calls = 0;
  const std::size_t whole_calls = count_of_whole_calls();
  for (const JsonElement element : list) {
    const ItemKind kind = kind_of(element);
    if (kind == ItemKind::message) add_words(element, kind, text, answer);
    if (kind == ItemKind::reasoning) add_words(element, kind, reasoning, answer);
    if (kind != ItemKind::call) continue;
    const std::string id = call_id_of(element);
    const bool known = id.empty() ? calls < whole_calls : call_ids_.contains(id);
    ++calls;
    if (!known) read_whole_call(element, id, answer);
  }
  catch_up(reasoning, text_so_far(ItemKind::reasoning), answer);
  catch_up(text, text_so_far(ItemKind::message), answer);
}

void OutputReader::read_whole_call(const JsonElement& element, std::string_view id, AnswerBuilder& answer) {
  const auto is_open = [](const Item& item) { return item.kind == ItemKind::call && !item.ended; };
  while (no_open_call_before_ < items_.size() && !is_open(items_[no_open_call_before_])) ++no_open_call_before_;
  const bool begun = no_open_call_before_ < items_.size();
  end_call(begun ? items_[no_open_call_before_] : begin(ItemKind::call, {std::nullopt, id}, answer), element, answer);
}

std::size_t OutputReader::count_of_whole_calls() const {
  const auto is_whole = [](const Item& item) { return item.kind == ItemKind::call && item.ended; };
  return static_cast<std::size_t>(std::count_if(items_.begin(), items_.end(), is_whole));
}

std::string OutputReader::text_so_far(ItemKind kind) const {
  std::string all;
  for (const Item& item : items_) {
    if (item.kind == kind) all += item.text;
  }
  return all;
}

}  // namespace backstop::inline v0::detail
