#include <memory>
#include <optional>
#include <string_view>

#include "format.hpp"
#include "output.hpp"
#include "providers/failure/read_failure.hpp"

namespace backstop::inline v0::detail {
namespace {

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
