#include "answer_reader.hpp"

#include <algorithm>
#include <utility>

#include "providers/failure/read_failure.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
constexpr std::size_t longest_page = 500;  // that is kept, to be quoted

// Without what may stand in front of a body; nothing while it cannot be told.
std::string_view content_of(std::string_view beginning) noexcept {
  if (beginning.starts_with(byte_order_mark)) {
    beginning.remove_prefix(byte_order_mark.size());
  } else if (byte_order_mark.starts_with(beginning)) {
    return {};
  }
  return beginning.substr(std::min(beginning.find_first_not_of(" \t\r\n"), beginning.size()));
}

// What begins like an answer may be part of one, and is not quoted.
bool begins_like_answer(std::string_view content) noexcept {
  for (const std::string_view beginning : {"{", "[", "\"", "data:", "event:", "id:", ":", "retry:"}) {
    if (content.starts_with(beginning)) return true;
  }
  return false;
}

}  // namespace

AnswerReader::AnswerReader(const WireFormat& wire, AnswerBuilder& answer, const AnswerLimits& limits)
    : wire_{&wire}, answer_{&answer}, limits_{limits} {}

void AnswerReader::feed(std::string_view bytes) {
  received_ += bytes.size();
  switch (form_) {
    case Form::undecided: return decide(bytes);
    case Form::documents: return add_to_document(bytes);
    case Form::events: break;
  }
  if (received_ > limits_.stream_bytes) {
    return fail(too_large("the stream", limits_.stream_bytes, "stream_bytes").message);
  }
  if (!any_event_ && !words_.empty()) {
    words_.append(bytes.substr(0, longest_page - std::min(longest_page, words_.size())));
  }
  events_.feed(bytes);
}

void AnswerReader::decide(std::string_view bytes) {
  std::string_view beginning = bytes;
  if (!body_.empty()) {
    body_.append(bytes);
    beginning = body_;
  }
  const std::string_view content = content_of(beginning);
  if (content.empty()) {
    if (body_.empty()) body_ = bytes;
    if (body_.size() > limits_.bytes) fail(too_large("the answer", limits_.bytes, "bytes").message);
  } else if (content.starts_with('{') || content.starts_with('[') || content.starts_with('"')) {
    form_ = Form::documents;
    std::string document{content};
    body_.clear();
    add_to_document(document);
  } else {
    form_ = Form::events;
    if (!begins_like_answer(content)) words_ = content.substr(0, longest_page);
    if (received_ > limits_.stream_bytes) {
      return fail(too_large("the stream", limits_.stream_bytes, "stream_bytes").message);
    }
    events_.feed(content);
  }
}

void AnswerReader::add_to_document(std::string_view bytes) {
  if (received_ > limits_.bytes) return fail(too_large("the answer", limits_.bytes, "bytes").message);
  body_.append(bytes);
}

bool AnswerReader::has_whole_document() noexcept {
  if (form_ != Form::documents) return false;
  const std::string_view unseen = std::string_view{body_}.substr(scanned_);
  scanned_ = body_.size();
  scan_.feed(unseen);
  return scan_.closed();
}

bool AnswerReader::next() {
  if (form_ != Form::events || at_end_) return false;
  ServerSentEvents::Event event;
  if (events_.next(event)) {
    take(event);
    return true;
  }
  if (events_.too_large()) fail("an event of the stream is larger than 16 MiB");
  return false;
}

void AnswerReader::finish(bool cleanly) {
  if (at_end_) return;
  if (form_ == Form::documents) take_documents();
  ServerSentEvents::Event event;
  if (form_ == Form::events && cleanly && events_.finish(event)) take(event);
  if (!at_end_ && decoder_ && answer_->is_complete()) decoder_->on_end(*answer_);
}

void AnswerReader::take(const ServerSentEvents::Event& event) {
  any_event_ = true;
  if (event.data.starts_with("[DONE]")) {
    at_end_ = decoder().on_done(*answer_) == StreamDecoder::Next::end;
    return;
  }
  document_.parse(event.data, event.readable_behind);
  if (!document_.valid()) {
    return fail("an event of the stream is no JSON", begins_like_answer(trim(event.data)) ? "" : event.data);
  }
  take_document(event.name);
  while (!at_end_ && document_.next()) take_document(event.name);
}

void AnswerReader::take_document(std::string_view event_name) {
  if (!document_.valid()) return fail("an event of the stream is no JSON");
  if (equal_ignoring_case(event_name, "error")) {
    answer_->fail(read_failure(document_.root()));
  } else if (decoder().on_event(event_name, document_.root(), *answer_) == StreamDecoder::Next::end) {
    at_end_ = true;
  }
  at_end_ = at_end_ || answer_->failure().has_value();
  // Nearly all that comes before content is a piece of an answer, which says nothing of its own.
  if (at_end_ || answer_->has_content()) return;
  const JsonElement& root = document_.root();
  if (!member(root, "choices") && !member(root, "type")) note_words();
}

// Where nothing else comes, the last that a document said is the reason.
void AnswerReader::note_words() {
  if (answer_->has_content() || answer_->failure()) return;
  if (std::string words = read_failure(document_.root()).message; !words.empty()) words_ = std::move(words);
}

void AnswerReader::take_documents() {
  document_.parse(body_);
  if (!document_.valid()) return fail("the answer is no JSON");
  if (document_.is_last()) {
    wire_->decode(document_.root(), *answer_);
    note_words();
    at_end_ = answer_->failure().has_value();
    return;
  }
  take_document({});
  while (!at_end_ && document_.next()) take_document({});
}

StreamDecoder& AnswerReader::decoder() {
  if (!decoder_) decoder_ = wire_->stream_decoder();
  return *decoder_;
}

void AnswerReader::fail(std::string finding) { fail(std::move(finding), {}); }

void AnswerReader::fail(std::string finding, std::string_view words) {
  ProviderFailure failure;
  failure.kind = ErrorKind::malformed_response;
  failure.finding = std::move(finding);
  failure.message = words;
  failure.quotes_body = true;
  answer_->fail(std::move(failure));
  at_end_ = true;
}

std::string_view AnswerReader::finding_of_nothing(bool stream) const noexcept {
  if (form_ == Form::documents || any_event_) return {};
  if (!words_.empty()) return "the answer is no JSON";
  return stream || form_ == Form::events ? "the stream ended without a single event" : "the answer has no body";
}

}  // namespace backstop::inline v0::detail
