#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format.hpp"
#include "messages.hpp"
#include "providers/failure/read_failure.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

using Take = void (AnswerBuilder::*)(std::string_view);

/// What an item of the output is to us. Calls that the provider runs itself and whatever else there may be in time are
/// passed over.
enum class ItemKind : std::uint8_t { ignored, message, reasoning, call };

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

void read_usage(const JsonElement& element, Usage& usage) noexcept {
  usage.input_tokens = count_of(element, "input_tokens");
  usage.output_tokens = count_of(element, "output_tokens");
  if (const auto details = member(element, "input_tokens_details")) {
    usage.cached_input_tokens = count_of(*details, "cached_tokens");
    usage.cache_write_tokens = count_of(*details, "cache_write_tokens");
  }
  if (const auto details = member(element, "output_tokens_details")) {
    usage.reasoning_tokens = count_of(*details, "reasoning_tokens");
  }
}

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

  Item* find(const Place& place) {
    if (last_ != none && last_index_ == place.index && last_id_ == place.id) return &items_[last_];
    const auto index = place.index ? by_index_.find(*place.index) : by_index_.end();
    const auto id = place.id.empty() ? by_id_.end() : by_id_.find(place.id);
    // Where the two disagree one of them is shared by several items, and leads to the last of those.
    const std::size_t at = std::min(index == by_index_.end() ? none : index->second,
                                    id == by_id_.end() ? none : id->second);
    if (at != none) return remember(place, at);
    const bool unplaced = !place.index && place.id.empty();
    return unplaced && !items_.empty() && !items_.back().ended ? &items_.back() : nullptr;
  }

  Item& begin(ItemKind kind, const Place& place, AnswerBuilder& answer) {
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

  /// As it begins in a stream.
  void read_beginning(const JsonElement& element, const Place& place, AnswerBuilder& answer) {
    const ItemKind kind = kind_of(element);
    std::string id = id_of(element, kind);
    if (kind == ItemKind::call && call_ids_.contains(id)) return;  // it came whole before
    Item* item = find(place);
    const bool same = item != nullptr && item->kind == kind && !item->ended && are_one(item->id, id);
    if (!same) item = &begin(kind, place, answer);
    if (item->id.empty()) item->id = std::move(id);
    if (kind == ItemKind::call) name(*item, element, answer);
  }

  /// As it stands whole, at its end or in the response.
  void read_whole(const JsonElement& element, const Place& place, AnswerBuilder& answer) {
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

  void add(Item& item, Take take, std::string_view delta, AnswerBuilder& answer) {
    if (item.ended) return;  // it came whole before
    item.text.append(delta);
    (answer.*take)(delta);
  }

  void add_arguments(Item& item, std::string_view delta, AnswerBuilder& answer) {
    if (item.ended) return;
    item.text.append(delta);
    if (item.named) answer.tool_call(item.number, {}, {}, delta);
  }

  /// The part that is being written, as it stands whole. An item's end decides where the two disagree.
  void end_part(Item& item, Take take, std::string_view whole, AnswerBuilder& answer) {
    if (item.ended) return;
    const std::string_view seen = std::string_view{item.text}.substr(item.part);
    if (whole.starts_with(seen)) add(item, take, whole.substr(seen.size()), answer);
    item.part = item.text.size();
  }

  void end_arguments(Item& item, std::string_view whole, AnswerBuilder& answer) {
    if (whole.starts_with(item.text)) add_arguments(item, whole.substr(item.text.size()), answer);
  }

  /// The whole output of a response whose end has come.
  void read_output(const JsonElement& output, AnswerBuilder& answer) {
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

  /// Nothing more comes.
  void finish(AnswerBuilder& answer) const {
    for (const Item& item : items_) {
      const bool lost = item.kind == ItemKind::call && !item.named && !item.text.empty();
      if (lost) answer.unreadable("the name of a tool call");
    }
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  static constexpr std::size_t most_items = 100'000;

  [[nodiscard]] static std::string id_of(const JsonElement& element, ItemKind kind) {
    return kind == ItemKind::call ? call_id_of(element) : std::string{text_of(element, "id")};
  }
  [[nodiscard]] static bool are_one(std::string_view id, std::string_view other) noexcept {
    return id.empty() || other.empty() || id == other;
  }

  Item* remember(const Place& place, std::size_t at) {
    last_index_ = place.index;
    last_id_.assign(place.id);
    last_ = at;
    return &items_[at];
  }

  /// A call is known by its own id before its place.
  Item* find_call(const Place& place, std::string_view id) {
    const auto found = by_call_id_.find(id);
    return found == by_call_id_.end() ? find(place) : &items_[found->second];
  }

  void name(Item& item, const JsonElement& element, AnswerBuilder& answer) {
    const WrittenText called{member(element, "name")};
    if (item.named || called.view().empty()) return;
    item.named = true;
    const std::string id = call_id_of(element);
    if (!id.empty()) by_call_id_.emplace(id, static_cast<std::size_t>(item.number));
    answer.tool_call(item.number, id, called.view(), item.text);
  }

  void end_call(Item& item, const JsonElement& element, AnswerBuilder& answer) {
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

  void end_words(Item& item, const JsonElement& element, AnswerBuilder& answer) {
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

  /// After a stream: all that was said is said again, but under ids, and at places, that may be others.
  void compare_output(const JsonArray& list, AnswerBuilder& answer) {
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

  // It may have begun in the stream without an end.
  void read_whole_call(const JsonElement& element, std::string_view id, AnswerBuilder& answer) {
    const auto is_open = [](const Item& item) { return item.kind == ItemKind::call && !item.ended; };
    while (no_open_call_before_ < items_.size() && !is_open(items_[no_open_call_before_])) ++no_open_call_before_;
    const bool begun = no_open_call_before_ < items_.size();
    end_call(begun ? items_[no_open_call_before_] : begin(ItemKind::call, {std::nullopt, id}, answer), element, answer);
  }

  [[nodiscard]] std::size_t count_of_whole_calls() const {
    const auto is_whole = [](const Item& item) { return item.kind == ItemKind::call && item.ended; };
    return static_cast<std::size_t>(std::count_if(items_.begin(), items_.end(), is_whole));
  }

  [[nodiscard]] std::string text_so_far(ItemKind kind) const {
    std::string all;
    for (const Item& item : items_) {
      if (item.kind == kind) all += item.text;
    }
    return all;
  }

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

/// Why the response ended: its own status, unless that contradicts the event that says it has.
void read_status(const JsonElement& response, std::string_view event_status, AnswerBuilder& answer) {
  std::string_view status = text_of(response, "status");
  const bool says = status == "incomplete" || status == "failed" || status == "cancelled";
  if (!says && !event_status.empty()) status = event_status;
  const std::optional<JsonElement> error = member(response, "error");
  if (status == "failed" || status == "cancelled" || (error && is_failure_value(*error))) {
    answer.fail(read_failure(response));
  } else if (status == "incomplete") {
    const std::optional<JsonElement> details = member(response, "incomplete_details");
    const std::string_view reason = details ? text_of(*details, "reason") : std::string_view{};
    answer.finish_reason(FinishReason::other);
    if (!reason.empty()) answer.finish_word(reason);
    answer.complete();
  } else if (status != "in_progress" && status != "queued") {
    answer.finish_reason(FinishReason::stop);
    answer.complete();
  }
}

/// A response whose end has come.
void read_response(const JsonElement& response, std::string_view event_status, OutputReader& output,
                   AnswerBuilder& answer) {
  answer.id(text_of(response, "id"));
  answer.model(text_of(response, "model"));
  if (const auto items = member(response, "output")) output.read_output(*items, answer);
  output.finish(answer);
  if (!answer.has_content()) answer.text(text_of(response, "output_text"));  // of gateways that have no items
  if (const auto usage = member(response, "usage")) read_usage(*usage, answer.usage());
  read_status(response, event_status, answer);
}

/// What is needed of an event, read in one go.
struct Event {
  std::string_view type;
  OutputReader::Place place;
  std::optional<JsonElement> delta;
  std::optional<JsonElement> item;
  std::optional<JsonElement> response;

  Event(std::string_view name, const JsonObject& data) {
    for (const auto field : data) {
      const std::string_view key = field.key;
      if (is_key(key, "type")) {
        type = as_text(field.value);
      } else if (is_key(key, "delta")) {
        if (!field.value.is_null()) delta = field.value;
      } else if (is_key(key, "output_index")) {
        place.index = as_count(field.value);
      } else if (is_key(key, "item_id")) {
        place.id = as_text(field.value);
      } else if (is_key(key, "item")) {
        if (!field.value.is_null()) item = field.value;
      } else if (is_key(key, "response")) {
        if (!field.value.is_null()) response = field.value;
      }
    }
    if (type.empty()) type = name;
    if (place.id.empty() && item) place.id = text_of(*item, "id");
  }
};

class ResponsesStreamDecoder final : public StreamDecoder {
 public:
  Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) override {
    JsonObject object;
    if (data.get(object) == simdjson::SUCCESS) {
      const Event event{name, object};
      constexpr std::string_view family = "response.";
      if (event.type.starts_with(family)) return on_known(event.type.substr(family.size()), event, data, answer);
    }
    return on_other(name, data, answer);
  }

 private:
  Next on_known(std::string_view type, const Event& event, const JsonElement& data, AnswerBuilder& answer) {
    if (type == "output_text.delta") {
      on_delta(event, ItemKind::message, &AnswerBuilder::text, answer);
    } else if (type == "reasoning_summary_text.delta" || type == "reasoning_text.delta") {
      on_delta(event, ItemKind::reasoning, &AnswerBuilder::reasoning, answer);
    } else if (type == "function_call_arguments.delta" || type == "custom_tool_call_input.delta") {
      on_arguments(event, answer);
    } else if (type == "refusal.delta") {
      on_delta(event, ItemKind::message, &AnswerBuilder::refusal, answer);
    } else if (type == "output_item.added") {
      if (event.item) output_.read_beginning(*event.item, event.place, answer);
    } else if (type == "output_item.done") {
      if (event.item) output_.read_whole(*event.item, event.place, answer);
    } else if (type == "completed" || type == "incomplete" || type == "failed" || type == "cancelled") {
      read_response(event.response.value_or(data), type, output_, answer);
      return Next::end;
    } else if (type == "error") {
      answer.fail(read_failure(data));
      return Next::end;
    } else if (type.ends_with(".done")) {
      on_part_done(type, event, data, answer);
    }
    return Next::more;  // what is begun, and events yet to be invented
  }

  void on_delta(const Event& event, ItemKind kind, Take take, AnswerBuilder& answer) {
    const WrittenText delta{event.delta};
    if (!delta.readable()) return answer.unreadable("a text");
    output_.add(item_of(event, kind, answer), take, delta.view(), answer);
  }

  void on_arguments(const Event& event, AnswerBuilder& answer) {
    if (!event.delta) return;
    OutputReader::Item& item = item_of(event, ItemKind::call, answer);
    if (event.delta->is_string()) {
      output_.add_arguments(item, as_text(*event.delta), answer);
    } else {
      output_.add_arguments(item, json_of(*event.delta), answer);
    }
  }

  void on_part_done(std::string_view type, const Event& event, const JsonElement& data, AnswerBuilder& answer) {
    if (type == "output_text.done") {
      on_text_done(event, ItemKind::message, &AnswerBuilder::text, text_of(data, "text"), answer);
    } else if (type == "refusal.done") {
      on_text_done(event, ItemKind::message, &AnswerBuilder::refusal, text_of(data, "refusal"), answer);
    } else if (type == "reasoning_summary_text.done" || type == "reasoning_text.done") {
      on_text_done(event, ItemKind::reasoning, &AnswerBuilder::reasoning, text_of(data, "text"), answer);
    } else if (type == "function_call_arguments.done") {
      output_.end_arguments(item_of(event, ItemKind::call, answer), text_of(data, "arguments"), answer);
    } else if (type == "custom_tool_call_input.done") {
      output_.end_arguments(item_of(event, ItemKind::call, answer), text_of(data, "input"), answer);
    }
  }

  void on_text_done(const Event& event, ItemKind kind, Take take, std::string_view whole, AnswerBuilder& answer) {
    output_.end_part(item_of(event, kind, answer), take, whole, answer);
  }

  /// The item that the event is about; one that was not announced begins with it.
  OutputReader::Item& item_of(const Event& event, ItemKind kind, AnswerBuilder& answer) {
    OutputReader::Item* item = output_.find(event.place);
    return item != nullptr && item->kind == kind ? *item : output_.begin(kind, event.place, answer);
  }

  /// Of a type that is none of the wire's: a failure, a list, a whole response, or an event without its type.
  Next on_other(std::string_view name, const JsonElement& data, AnswerBuilder& answer) {
    if (holds_failure(data, HasType::always)) {
      answer.fail(read_failure(data));
      return Next::end;
    }
    if (JsonArray list; data.get(list) == simdjson::SUCCESS) {
      Next next = Next::more;
      for (const JsonElement entry : list) {
        if (next == Next::more) next = on_event(name, entry, answer);
      }
      return next;
    }
    if (member(data, "output")) {
      read_response(data, {}, output_, answer);
      return answer.is_complete() || answer.failure() ? Next::end : Next::more;
    }
    const bool has_type = !text_of(data, "type").empty() || !name.empty();
    if (!has_type && (member(data, "delta") || member(data, "item") || member(data, "response"))) {
      on_untyped(data, answer);
    }
    return Next::more;
  }

  /// Its fields tell what it is, but for the beginning of an item and of a response.
  void on_untyped(const JsonElement& data, AnswerBuilder& answer) {
    JsonObject object;
    if (data.get(object) != simdjson::SUCCESS) return;
    const Event event{{}, object};
    OutputReader::Item* item = output_.find(event.place);
    if (event.item) {
      if (text_of(*event.item, "status") == "completed") {
        output_.read_whole(*event.item, event.place, answer);
      } else {
        output_.read_beginning(*event.item, event.place, answer);
      }
    } else if (event.response) {
      const std::string_view status = text_of(*event.response, "status");
      if (status == "completed" || status == "incomplete" || status == "failed") {
        read_response(*event.response, status, output_, answer);
      }
    } else if (item != nullptr && item->kind == ItemKind::call) {
      on_arguments(event, answer);
    } else if (item != nullptr && item->kind == ItemKind::message) {
      on_delta(event, ItemKind::message, &AnswerBuilder::text, answer);
    } else if (item != nullptr && item->kind == ItemKind::reasoning) {
      on_delta(event, ItemKind::reasoning, &AnswerBuilder::reasoning, answer);
    } else if (item == nullptr) {
      answer.unreadable("an event");
    }
  }

  OutputReader output_;
};

}  // namespace

void OpenAiResponses::decode(const JsonElement& body, AnswerBuilder& answer) const {
  if (holds_failure(body)) return answer.fail(read_failure(body));
  OutputReader output;
  const std::optional<JsonElement> response = member(body, "response");
  const bool inside = response && response->is_object() && !member(body, "output");
  read_response(inside ? *response : body, {}, output, answer);
}

std::unique_ptr<StreamDecoder> OpenAiResponses::stream_decoder() const {
  return std::make_unique<ResponsesStreamDecoder>();
}

}  // namespace backstop::inline v0::detail
