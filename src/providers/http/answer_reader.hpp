#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "backstop/providers/answer_limits.hpp"
#include "providers/wire/answer_builder.hpp"
#include "providers/wire/event_stream.hpp"
#include "providers/wire/json_document.hpp"
#include "providers/wire/json_lines.hpp"
#include "providers/wire/object_scan.hpp"
#include "providers/wire/server_sent_events.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// Reads the body of one answer into its builder, in whatever form it comes: as events, lines, binary messages or JSON
/// documents. The bytes decide, not what was asked for and not the content type: servers send the one for the other,
/// under either label. Lines are told from documents by the wire (`streams_lines`), and so are messages from what is
/// no text at all (`streams_messages`).
class AnswerReader {
 public:
  /// All of them must outlive the reader.
  AnswerReader(const WireFormat& wire, AnswerBuilder& answer, const AnswerLimits& limits);

  /// From now on what comes is kept for `take_raw`.
  void keep_raw() noexcept { keeps_raw_ = true; }
  /// See `ChatResponse::raw`.
  [[nodiscard]] std::string take_raw();

  /// More of the body; the bytes must live until `next` has returned false.
  void feed(std::string_view bytes);
  /// Reads the next event that is whole; false when there is none, and at the end.
  [[nodiscard]] bool next();
  /// Nothing more comes. `cleanly`: the body ended, rather than broke off or stayed silent.
  void finish(bool cleanly);
  void fail(std::string finding);

  /// The true end was seen, or the answer has failed: whatever follows is nothing.
  [[nodiscard]] bool at_end() const noexcept { return at_end_; }
  /// The body is a JSON document whose last bracket has come, and it is an answer or a failure, not the first piece of a
  /// stream of documents. Cost: of the bytes since it was asked last, and of reading the document once.
  [[nodiscard]] bool has_whole_answer();
  /// Why there is nothing in the body; empty when there is something. For whoever asked for a stream, or not.
  [[nodiscard]] std::string_view finding_of_nothing(bool stream) const noexcept;
  /// What a body without an answer says instead: the beginning of a page, or the message of a document; else empty.
  [[nodiscard]] std::string_view words() const noexcept { return words_; }

 private:
  enum class Form : unsigned char { undecided, events, lines, messages, documents };

  void decide(std::string_view bytes);
  void hold(std::string_view content);
  void add_to_document(std::string_view bytes);
  void take(const ServerSentEvents::Event& event);
  void take(const EventStream::Message& message);
  void take_documents();
  void take_document(std::string_view event_name);
  void note_words();
  void note_raw();
  void fail(std::string finding, std::string_view words);
  [[nodiscard]] StreamDecoder& decoder();

  const WireFormat* wire_;
  AnswerBuilder* answer_;
  AnswerLimits limits_;
  Form form_ = Form::undecided;
  std::string body_;  ///< of documents; before the form is known, what is too short to tell
  bool past_mark_ = false;
  std::string words_;
  ObjectScan scan_;
  std::size_t scanned_ = 0;  ///< of the body
  bool whole_ = false;       ///< so far
  std::size_t received_ = 0;
  ServerSentEvents events_;
  JsonLines lines_;
  EventStream messages_;
  std::unique_ptr<StreamDecoder> decoder_;
  JsonDocument document_;  ///< being read
  bool any_event_ = false;
  bool keeps_raw_ = false;
  std::array<std::string, 2> raw_{};  ///< the one before, and the last
  bool at_end_ = false;
};

}  // namespace backstop::inline v0::detail
