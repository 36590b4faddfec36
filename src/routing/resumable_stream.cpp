#include "routing/resumable_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include "chat/token_estimate.hpp"
#include "routing/ladder.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view white_space = " \t\r\n";

// A shorter text may well be followed by the same words again.
constexpr std::size_t least_repetition = 16;

[[nodiscard]] std::string_view without_white_end(std::string_view text) noexcept {
  return text.substr(0, text.find_last_not_of(white_space) + 1);
}

[[nodiscard]] std::size_t common_beginning(std::string_view a, std::string_view b) noexcept {
  const auto differs = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())),
                                     b.begin());
  return static_cast<std::size_t>(differs.first - a.begin());
}

}  // namespace

bool ResumableStream::can_resume() const noexcept {
  return !tool_call_begun_ && !text_incomplete_ && text_.find_first_not_of(white_space) != std::string::npos;
}

ChatRequest ResumableStream::begin_rest(const ChatRequest& original) {
  given_ = text_;
  comparing_ = true;
  rest_.clear();
  dropped_ = 0;
  const std::string_view told = without_white_end(given_);
  ChatRequest request = original;
  if (request.messages.empty() || request.messages.back().role != Role::assistant) {
    request.messages.push_back(Message::assistant(std::string{told}));
  } else {
    request.messages.back().parts.emplace_back(Text{std::string{told}});
  }
  // What was asked to think has done so, and a turn that is begun leaves no room for it.
  request.reasoning_effort.clear();
  if (request.max_output_tokens) {
    request.max_output_tokens = std::max<std::int64_t>(1, *request.max_output_tokens - estimate_tokens(given_.size()));
  }
  return request;
}

void ResumableStream::finish(ChatResponse& response) {
  if (given_.empty()) return;
  if (comparing_) compare(true);
  response.degradation = degradation_;
  std::size_t to_drop = dropped_;
  Text* first = nullptr;
  for (Part& part : response.parts) {
    auto* text = std::get_if<Text>(&part);
    if (text == nullptr) continue;
    if (first == nullptr) first = text;
    const std::size_t here = std::min(to_drop, text->text.size());
    text->text.erase(0, here);
    to_drop -= here;
  }
  if (first != nullptr) {
    first->text.insert(0, given_);
  } else {
    response.parts.insert(response.parts.begin(), Text{given_});
  }
}

void ResumableStream::on_attempt(const Target& target) noexcept {
  if (!given_.empty()) {
    // It goes on where others have broken off: to the consumer that is no new beginning.
    if (text_.size() != given_.size()) return;
    comparing_ = true;
    rest_.clear();
    dropped_ = 0;
    return;
  }
  forget_what_is_kept();
  consumer_->on_attempt(target);
}

void ResumableStream::on_attempt_failed() noexcept {
  if (given_.empty()) forget_what_is_kept();
  consumer_->on_attempt_failed();
}

void ResumableStream::forget_what_is_kept() noexcept {
  if (!consumer_->holding()) return;
  text_.clear();
  tool_call_begun_ = false;
  degradation_.reset();
}

void ResumableStream::begin_anew(const StreamEvent& restarted) noexcept {
  tool_call_begun_ = false;
  text_.clear();
  degradation_.reset();
  consumer_->on_event(restarted);
  rest_.clear();
  dropped_ = 0;
  comparing_ = !given_.empty();
  if (given_.empty()) return;
  // The consumer has been told to forget that too.
  StreamEvent event;
  event.delta = given_;
  deliver(event, true);
}

void ResumableStream::on_event(const StreamEvent& event) noexcept {
  if (event.type == StreamEvent::Type::restarted) return begin_anew(event);
  if (event.degradation != nullptr) return note_degradation(event);
  if (!comparing_) return deliver(event, false);
  bool kept = event.type == StreamEvent::Type::text;
  try {
    if (kept) rest_ += event.delta;
  } catch (...) {  // no memory to compare it in
    kept = false;
  }
  if (kept) return compare(false);
  if (event.type != StreamEvent::Type::reasoning) compare(true);
  deliver(event, true);
}

void ResumableStream::note_degradation(const StreamEvent& event) noexcept {
  try {
    degradation_ = degradation_ ? merged(*degradation_, *event.degradation) : *event.degradation;
  } catch (...) {  // no memory: the answer would not say it
    context_->lose_event();
  }
  consumer_->on_event(event);
}

void ResumableStream::compare(bool complete) noexcept {
  const std::string_view rest = rest_;
  const std::string_view told = without_white_end(given_);
  std::size_t drop = 0;
  if (told.size() >= least_repetition) {
    if (!complete && rest.size() < told.size() && told.starts_with(rest)) return;
    if (rest.starts_with(told)) drop = told.size();
  }
  const std::string_view white = std::string_view{given_}.substr(told.size());
  const std::string_view remainder = rest.substr(drop);
  const std::size_t same = common_beginning(remainder, white);
  if (!complete && same == remainder.size() && same < white.size()) return;
  comparing_ = false;
  dropped_ = drop + same;
  if (same == remainder.size()) return;
  StreamEvent event;
  event.delta = remainder.substr(same);
  deliver(event, true);
}

void ResumableStream::deliver(const StreamEvent& event, bool kept_back) noexcept {
  try {
    if (event.type == StreamEvent::Type::text) text_ += event.delta;
  } catch (...) {  // what is not known to the end cannot be gone on from
    text_incomplete_ = true;
  }
  if (event.type == StreamEvent::Type::tool_call_delta || event.type == StreamEvent::Type::tool_call) {
    tool_call_begun_ = true;
  }
  if (kept_back && !consumer_->holding()) context_->note_delivered(event);
  consumer_->on_event(event);
}

}  // namespace backstop::inline v0::detail
