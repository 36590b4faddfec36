#include "answer_reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "providers/failure/read_failure.hpp"
#include "text/ascii.hpp"

namespace backstop::inline v0::detail {
namespace {

constexpr std::size_t longest_page = 500;  // that is kept, to be quoted
constexpr int most_documents = 100'000;    // of one body: they are read in one go

constexpr std::array<std::string_view, 8> beginnings{"{", "[", "\"", "data:", "event:", "id:", ":", "retry:"};

// What begins like an answer may be part of one, and is not quoted.
bool begins_like_answer(std::string_view content) noexcept {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [content](std::string_view beginning) { return content.starts_with(beginning); });
}

// Too short yet to tell.
bool may_begin_like_answer(std::string_view content) noexcept {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [content](std::string_view beginning) { return beginning.starts_with(content); });
}

}  // namespace

AnswerReader::AnswerReader(const WireFormat& wire, AnswerBuilder& answer, const AnswerLimits& limits)
    : wire_{&wire}, answer_{&answer}, limits_{limits}, lines_{limits.bytes} {}

void AnswerReader::feed(std::string_view bytes) {
  received_ += bytes.size();
  switch (form_) {
    case Form::undecided: return decide(bytes);
    case Form::documents: return add_to_document(bytes);
    case Form::lines:
    case Form::messages:
    case Form::events: break;
  }
  if (received_ > limits_.stream_bytes) {
    return fail(too_large("the stream", limits_.stream_bytes, "stream_bytes").message);
  }
  if (!any_event_ && !words_.empty()) {
    words_.append(bytes.substr(0, longest_page - std::min(longest_page, words_.size())));
  }
  if (form_ == Form::messages) return messages_.feed(bytes);
  form_ == Form::lines ? lines_.feed(bytes) : events_.feed(bytes);
}

// Of what may stand in front of a body nothing is kept but what is too short to tell: there may be much of it.
void AnswerReader::decide(std::string_view bytes) {
  std::string_view content = bytes;
  if (!body_.empty()) {
    body_.append(bytes);
    content = body_;
  }
  if (!past_mark_) {
    if (content.size() < byte_order_mark.size() && byte_order_mark.starts_with(content)) return hold(content);
    past_mark_ = true;
    if (content.starts_with(byte_order_mark)) content.remove_prefix(byte_order_mark.size());
  }
  content = trim_front(content);
  if (content.empty() && received_ > limits_.bytes) {
    fail(too_large("the answer", limits_.bytes, "bytes").message);
  } else if (content.empty() || (!begins_like_answer(content) && may_begin_like_answer(content))) {
    hold(content);
  } else if (content.starts_with('\0') && wire_->streams_messages()) {  // the length of a message begins so
    form_ = Form::messages;
    messages_.feed(content);
  } else if (content.starts_with('{') && wire_->streams_lines()) {
    form_ = Form::lines;
    lines_.feed(content);
  } else if (content.starts_with('{') || content.starts_with('[') || content.starts_with('"')) {
    form_ = Form::documents;
    if (body_.empty()) return add_to_document(content);
    body_.erase(0, body_.size() - content.size());  // `content` is its end
    add_to_document({});                            // its size is looked at
  } else {
    form_ = Form::events;
    if (!begins_like_answer(content)) words_ = content.substr(0, longest_page);
    if (received_ > limits_.stream_bytes) {
      return fail(too_large("the stream", limits_.stream_bytes, "stream_bytes").message);
    }
    events_.feed(content);
  }
}

void AnswerReader::hold(std::string_view content) { body_ = std::string{content}; }

void AnswerReader::add_to_document(std::string_view bytes) {
  if (received_ > limits_.bytes) return fail(too_large("the answer", limits_.bytes, "bytes").message);
  body_.append(bytes);
}

bool AnswerReader::has_whole_answer() {
  if (form_ != Form::documents) return false;
  const std::string_view unseen = std::string_view{body_}.substr(scanned_);
  if (unseen.empty()) return whole_;
  scanned_ = body_.size();
  scan_.feed(unseen);
  whole_ = false;
  if (!scan_.closed()) return false;
  document_.parse(body_);
  if (!document_.valid()) return whole_ = true;  // nothing that is to come mends it
  AnswerBuilder trial{answer_->answered_by(), nullptr};
  wire_->decode(document_.root(), trial);
  if (trial.failure()) return whole_ = true;
  // What has no content may be the first piece of a stream.
  const Result<ChatResponse> answer = trial.take();
  return whole_ = trial.is_complete() && (answer || answer.error().kind == ErrorKind::content_filtered);
}

bool AnswerReader::next() {
  if (at_end_ || form_ == Form::undecided || form_ == Form::documents) return false;
  if (EventStream::Message message; form_ == Form::messages) {
    if (messages_.next(message)) {
      take(message);
      return true;
    }
    if (!messages_.fault().empty()) fail(std::string{messages_.fault()});
    document_.let_go();
    return false;
  }
  ServerSentEvents::Event event;
  if (form_ == Form::lines ? lines_.next(event.data) : events_.next(event)) {
    if (form_ == Form::lines) event.readable_behind = lines_.readable_behind();
    take(event);
    return true;
  }
  if (events_.too_large()) fail("an event of the stream is larger than 16 MiB");
  if (lines_.too_large()) fail(too_large("the answer", limits_.bytes, "bytes").message);
  document_.let_go();  // a stream that waits for more needs none
  return false;
}

void AnswerReader::finish(bool cleanly) {
  if (at_end_) return;
  if (form_ == Form::undecided) words_ = body_;
  if (form_ == Form::documents) take_documents();
  ServerSentEvents::Event event;
  if (form_ == Form::events && cleanly && events_.finish(event)) take(event);
  if (form_ == Form::lines && cleanly && lines_.finish(event.data)) take(event);
  if (!at_end_ && decoder_ && answer_->is_complete()) decoder_->on_end(*answer_);
}

void AnswerReader::take(const ServerSentEvents::Event& event) {
  any_event_ = true;
  words_.clear();  // no page
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

void AnswerReader::take(const EventStream::Message& message) {
  any_event_ = true;
  document_.parse(message.payload, message.readable_behind);
  if (message.kind == "event" || message.kind.empty()) {
    if (!message.payload.empty()) take_document(message.name);
    return;
  }
  // An exception has its words in the payload, an error in a header.
  ProviderFailure failure;
  if (document_.valid()) failure = read_failure(document_.root());
  if (failure.message.empty()) failure.message = message.words;
  if (failure.type.empty()) failure.type = message.name;
  answer_->fail(std::move(failure));
  at_end_ = true;
}

void AnswerReader::take_document(std::string_view event_name) {
  if (!document_.valid()) return fail("an event of the stream is no JSON");
  note_raw();
  // On no wire is a mere text a piece of an answer.
  const bool unnamed = event_name.empty() || equal_ignoring_case(event_name, "message");
  const bool is_words = unnamed && document_.root().is_string() && !as_text(document_.root()).empty();
  if (is_words || equal_ignoring_case(event_name, "error")) {
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

void AnswerReader::note_raw() {
  if (!keeps_raw_) return;
  raw_[0] = std::move(raw_[1]);
  raw_[1] = json_of(document_.root());
}

std::string AnswerReader::take_raw() {
  if (raw_[0].empty()) return std::move(raw_[1]);  // a whole answer, or all of the stream
  return "[" + raw_[0] + "," + raw_[1] + "]";
}

// Where nothing else comes, the last that a document said is the reason.
void AnswerReader::note_words() {
  if (answer_->has_content() || answer_->failure()) return;
  if (const auto message = member(document_.root(), "message"); message && message->is_object()) return;  // a model's
  if (std::string words = read_failure(document_.root()).message; !words.empty()) words_ = std::move(words);
}

void AnswerReader::take_documents() {
  document_.parse(body_);
  if (!document_.valid()) return fail("the answer is no JSON");
  if (document_.is_last()) {
    note_raw();
    wire_->decode(document_.root(), *answer_);
    note_words();
    at_end_ = answer_->failure().has_value();
    return;
  }
  take_document({});
  for (int count = 1; !at_end_ && document_.next(); ++count) {
    if (count == most_documents) return fail("the answer has more than 100,000 JSON documents");
    take_document({});
  }
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
