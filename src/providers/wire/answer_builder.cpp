#include "answer_builder.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/runtime/call_context.hpp"
#include "finish_reasons.hpp"
#include "handover/projection.hpp"
#include "json_document.hpp"
#include "json/parse.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

// A tool takes a JSON object, so that is what a call has; what the model wrote instead is kept for whoever mends it.
std::string arguments_object(std::string text) {
  const std::string_view written = trim(text);
  if (written.empty() || written == "null") return "{}";
  if (is_json_object(written)) return text;
  const nlohmann::json wrapped{{raw_arguments_key, text}};
  return wrapped.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

constexpr std::size_t most_parts = 100'000;

std::string size_text(std::size_t bytes) {
  constexpr std::size_t mebibyte = std::size_t{1} << 20;
  return bytes % mebibyte == 0 ? fmt::format("{} MiB", bytes / mebibyte) : fmt::format("{} bytes", bytes);
}

}  // namespace

Error too_large(std::string_view what, std::size_t limit, std::string_view option) {
  return {ErrorKind::malformed_response,
          fmt::format("{} is larger than {} (`AnswerLimits::{}`)", what, size_text(limit), option)};
}

AnswerBuilder::AnswerBuilder(const Target& target, const CallContext* context) : target_{target}, context_{context} {}

// The part that is being written if it is a P, else a new one.
template <class P>
P& AnswerBuilder::open() {
  if (open_part_ != no_part) {
    if (P* part = std::get_if<P>(&parts_[open_part_])) return *part;
  }
  if (!closed_.empty()) end_whole_calls();
  if (parts_.size() == most_parts) exceed(fmt::format("the answer has more than {} parts", most_parts));
  open_part_ = parts_.size();
  return std::get<P>(parts_.emplace_back(P{}));
}

void AnswerBuilder::text(std::string_view delta) {
  if (delta.empty() || !has_room(delta.size())) return;
  open<Text>().text.append(delta);
  wrote_text_ = true;
  emit(StreamEvent::Type::text, delta);
}

void AnswerBuilder::refusal(std::string_view delta) {
  if (delta.empty()) return;
  refused_ = true;
  text(delta);
}

void AnswerBuilder::reasoning(std::string_view delta) {
  if (delta.empty() || !has_room(delta.size())) return;
  open<Reasoning>().text.append(delta);
  wrote_reasoning_ = true;
  emit(StreamEvent::Type::reasoning, delta);
}

void AnswerBuilder::reasoning_signature(std::string_view piece) {
  if (!piece.empty() && has_room(piece.size())) open<Reasoning>().signature.append(piece);
}

void AnswerBuilder::redacted_reasoning(std::string_view data) {
  if (data.empty() || !has_room(data.size())) return;
  end_part();
  open<Reasoning>().redacted.assign(data);
  end_part();
  wrote_reasoning_ = true;
}

// Whether so much more content may be taken. The first piece beyond the limit and all that follow are dropped.
bool AnswerBuilder::has_room(std::size_t bytes) {
  if (exceeded_) return false;
  if (bytes != 0) complete_ = false;  // whatever said so
  bytes_ += bytes;
  if (bytes_ <= limits_.bytes) return true;
  exceed(too_large("the answer", limits_.bytes, "bytes").message);
  return false;
}

void AnswerBuilder::exceed(std::string finding) {
  exceeded_ = true;
  malformed(std::move(finding));
}

void AnswerBuilder::unreadable(std::string_view what) {
  malformed(fmt::format("{} of the answer cannot be read", what));
}

void AnswerBuilder::malformed(std::string finding) {
  ProviderFailure failure;
  failure.kind = ErrorKind::malformed_response;
  failure.finding = std::move(finding);
  fail(std::move(failure));
}

void AnswerBuilder::tool_call(std::int64_t index, std::string_view id, std::string_view name,
                              std::string_view arguments) {
  Call* call = last_call(index);
  if (call != nullptr && repeats(*call, id, name, arguments)) return;
  const bool begins = call == nullptr || begins_another(*call, id, name, arguments);
  if (begins && id.empty() && name.empty() && arguments.empty()) return;
  if (begins && !exceeded_ && calls_.size() >= limits_.tool_calls) {
    exceed(fmt::format("the answer has more than {} tool calls (`AnswerLimits::tool_calls`)", limits_.tool_calls));
  }
  if (!has_room((begins ? id.size() + name.size() : 0) + arguments.size())) return;
  if (begins) call = &begin_call(index, id);
  if (call->ended) {
    if (!trim(arguments).empty()) unreadable("a tool call that goes on after its end");
    return;
  }
  ToolCall& written = std::get<ToolCall>(parts_[call->part]);
  if (written.name.empty() && !name.empty()) written.name.assign(our_name(name));
  call->arguments.append(arguments);
  const bool was_closed = call->scan.closed();
  call->scan.feed(arguments);
  if (call->scan.closed() && !was_closed) closed_.push_back(static_cast<std::size_t>(call - calls_.data()));
  if (begins || !arguments.empty()) emit(StreamEvent::Type::tool_call_delta, arguments, &written);
}

std::string_view AnswerBuilder::our_name(std::string_view name) const noexcept {
  return projection_ == nullptr ? name : projection_->original_tool_name(name);
}

AnswerBuilder::Call* AnswerBuilder::last_call(std::int64_t index) noexcept {
  const auto found = last_calls_.find(index);
  return found == last_calls_.end() ? nullptr : &calls_[found->second];
}

const ToolCall& AnswerBuilder::written(const Call& call) const noexcept {
  return std::get<ToolCall>(parts_[call.part]);
}

// Some servers change the id with every piece, but then without a name; others repeat the name, but then without an
// end of the arguments.
bool AnswerBuilder::begins_another(const Call& call, std::string_view id, std::string_view name,
                                   std::string_view arguments) const noexcept {
  if (name.empty() || written(call).name.empty()) return false;
  if (!id.empty() && id != call.wire_id) return true;
  return call.scan.closed() && !trim(arguments).empty();
}

bool AnswerBuilder::repeats(const Call& call, std::string_view id, std::string_view name,
                            std::string_view arguments) const noexcept {
  if (name.empty() || id != call.wire_id || !call.scan.closed() || arguments.empty()) return false;
  const ToolCall& before = written(call);
  return before.name == our_name(name) && arguments == (call.ended ? before.arguments : call.arguments);
}

AnswerBuilder::Call& AnswerBuilder::begin_call(std::int64_t index, std::string_view id) {
  end_whole_calls();
  end_part();
  ToolCall call;
  call.id = id.empty() || ids_.contains(id) ? new_call_id() : std::string{id};
  ids_.insert(call.id);
  parts_.emplace_back(std::move(call));
  last_calls_[index] = calls_.size();
  Call& begun = calls_.emplace_back();
  begun.part = parts_.size() - 1;
  begun.wire_id = id;
  return begun;
}

void AnswerBuilder::end_tool_call(std::int64_t index) {
  if (Call* call = last_call(index)) end_call(*call);
}

void AnswerBuilder::end_call(Call& call) {
  if (call.ended) return;
  call.ended = true;
  ToolCall& written = std::get<ToolCall>(parts_[call.part]);
  if (written.name.empty()) {
    if (arguments_object(std::move(call.arguments)) != "{}") unreadable("the name of a tool call");
    return;
  }
  written.arguments = arguments_object(std::move(call.arguments));
  emit(StreamEvent::Type::tool_call, {}, &written);
}

// When something else begins, a call whose arguments are a whole object cannot grow any more and is handed over.
void AnswerBuilder::end_whole_calls() {
  std::vector<std::size_t> closed;
  closed.swap(closed_);
  std::sort(closed.begin(), closed.end());
  for (const std::size_t at : closed) {
    Call& call = calls_[at];
    if (!call.ended && call.scan.closed() && is_json_object(call.arguments)) end_call(call);
  }
}

void AnswerBuilder::id(std::string_view id) {
  if (id_.empty()) id_.assign(id);
}

void AnswerBuilder::model(std::string_view model) {
  if (model_.empty()) model_.assign(model);
}

void AnswerBuilder::finish_word(std::string_view word) {
  const FinishWord* known = find_finish_word(word);
  if (known == nullptr) {
    if (!finish_reason_) finish_reason_ = FinishReason::other;
  } else if (known->means == FinishWord::Means::reason) {
    finish_reason_ = known->reason;
    complete_ = true;
  } else if (known->means == FinishWord::Means::failure) {
    ProviderFailure failure;
    failure.kind = ErrorKind::malformed_response;
    failure.finding = fmt::format("the provider ended the answer with the finish reason \"{}\"", known->word);
    failure.code = word;
    fail(std::move(failure));
  }
}

void AnswerBuilder::fail(ProviderFailure failure) {
  if (!failure_) failure_ = std::move(failure);
}

void AnswerBuilder::block(std::string_view message, std::string_view code) {
  ProviderFailure failure;
  failure.kind = ErrorKind::content_filtered;
  failure.message = message;
  failure.code = code;
  fail(std::move(failure));
}

Result<ChatResponse> AnswerBuilder::take() {
  for (Call& call : calls_) end_call(call);
  if (failure_) return Error{ErrorKind::malformed_response, failure_->finding};
  std::erase_if(parts_, [](const Part& part) {
    const auto* call = std::get_if<ToolCall>(&part);
    return call != nullptr && call->name.empty();
  });
  const bool calls_tools =
      std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return std::holds_alternative<ToolCall>(part); });

  std::optional<FinishReason> reason = finish_reason_;
  if (refused_) reason = FinishReason::content_filter;
  if (reason == FinishReason::stop && calls_tools) reason = FinishReason::tool_calls;
  if (!wrote_text_ && !calls_tools) {
    if (reason == FinishReason::content_filter) {
      return Error{ErrorKind::content_filtered, "the provider's filter stopped the answer before it had any text"};
    }
    const bool may_be_empty = reason == FinishReason::length || reason == FinishReason::context_full ||
                              reason == FinishReason::paused;
    if (!wrote_reasoning_ && !may_be_empty) {
      return Error{ErrorKind::malformed_response, "the answer is empty: no text, no reasoning, no tool call"};
    }
  }

  ChatResponse response;
  for (Part& part : parts_) {
    if (auto* reasoning = std::get_if<Reasoning>(&part)) reasoning->origin = target_;
  }
  response.parts = std::move(parts_);
  response.finish_reason = reason;
  response.usage = usage_;
  response.id = std::move(id_);
  response.model = model_.empty() ? std::string{target_.model()} : std::move(model_);
  response.served_by = target_;
  return response;
}

void AnswerBuilder::emit(StreamEvent::Type type, std::string_view delta, const ToolCall* call) {
  if (context_ == nullptr) return;
  if (!context_->streaming()) {
    // The limits of streams hold for a plain call that has one on the wire.
    const AttemptProgress* progress = context_->progress();
    const bool first = progress != nullptr && progress->streamed && !AttemptProgress::reached(progress->first_content);
    if (first) context_->note_first_content();
    return;
  }
  StreamEvent event;
  event.type = type;
  event.delta = delta;
  event.tool_call = call;
  context_->deliver(event);
}

std::string AnswerBuilder::new_call_id() {
  constexpr std::string_view digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string id;
  do {
    id = "call_";
    for (int group = 0; group < 3; ++group) {
      // Without a runtime (decoding alone) the ids only have to differ from one another.
      std::uint64_t random = context_ != nullptr ? context_->runtime().random() : ++made_up_ids_ * 0x9E3779B97F4A7C15U;
      for (int digit = 0; digit < 8; ++digit, random /= digits.size()) id += digits[random % digits.size()];
    }
  } while (ids_.contains(id));
  return id;
}

}  // namespace backstop::inline v0::detail
