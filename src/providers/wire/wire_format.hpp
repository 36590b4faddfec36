#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/runtime/http_transport.hpp"
#include "answer_builder.hpp"
#include "endpoint.hpp"
#include "handover/rules.hpp"
#include "json_document.hpp"
#include "request_limits.hpp"

namespace backstop::inline v0::detail {

/// Reads the events of one streamed answer. What it learns goes to the builder, errors included (`fail`).
class StreamDecoder {
 public:
  virtual ~StreamDecoder() = default;

  enum class Next : std::uint8_t {
    more,  ///< go on reading
    end,   ///< the true end: whatever follows is ignored
  };
  /// One event with JSON as its data. `name` is that of the `event:` line, empty without one, never `error`. Errors in
  /// the generic shapes (`holds_failure`) are the decoder's to notice, so that it need not walk the event twice.
  virtual Next on_event(std::string_view name, const JsonElement& data, AnswerBuilder& answer) = 0;
  /// The event `[DONE]`.
  virtual Next on_done(AnswerBuilder& answer) {
    static_cast<void>(answer);
    return Next::more;
  }
  /// Nothing more comes, and the answer is complete though its true end was not seen: whatever the decoder kept.
  virtual void on_end(AnswerBuilder& answer) { static_cast<void>(answer); }
};

/// One wire format: how a request is written, and how answers are read. Pure: no I/O, no clock, no state.
///
/// Errors with a status are the same task for every wire and are classified from one table (`error_classifier.hpp`).
class WireFormat {
 public:
  virtual ~WireFormat() = default;

  /// As policy files name it.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// What the target refuses of the request; by its facts alone unless the wire knows more.
  [[nodiscard]] virtual RequestLimits limits(const ChatRequest& request, const Target& target) const noexcept {
    static_cast<void>(request);
    RequestLimits limits;
    limits.output_tokens = target.facts().max_output_tokens;
    return limits;
  }
  /// The whole HTTP request with its key and headers (`request_headers.hpp` has those that all wires share).
  /// Errors: `invalid_request` or `unsupported_capability` for what the wire cannot express.
  [[nodiscard]] virtual Result<HttpRequest> encode(const ChatRequest& request, const Endpoint& endpoint,
                                                   bool stream) const = 0;
  /// Adds what depends on the moment of sending: a signature. Called last, when everything else stands.
  /// Errors: `authentication` for what cannot be signed.
  [[nodiscard]] virtual Result<void> sign(HttpRequest& http, const Endpoint& endpoint, WallTime now) const {
    static_cast<void>(http), static_cast<void>(endpoint), static_cast<void>(now);
    return {};
  }
  /// Of the repairs that are the wire's own, those that change this request.
  [[nodiscard]] virtual RepairSet own_repairs(const ChatRequest& request, const Target& target,
                                              bool stream) const noexcept {
    static_cast<void>(request), static_cast<void>(target), static_cast<void>(stream);
    return 0;
  }
  /// A whole answer with a status of 200, or an error in one of the generic shapes (`holds_failure`).
  virtual void decode(const JsonElement& body, AnswerBuilder& answer) const = 0;
  /// For one stream.
  [[nodiscard]] virtual std::unique_ptr<StreamDecoder> stream_decoder() const = 0;
  /// Its streams are JSON documents, a line each, rather than events. They may still come as events: the bytes decide.
  [[nodiscard]] virtual bool streams_lines() const noexcept { return false; }
  /// Its streams are binary messages (`event_stream.hpp`), and `on_event` gets the event's type as its name.
  [[nodiscard]] virtual bool streams_messages() const noexcept { return false; }
  /// What a conversation must look like before it is encoded; by the provider's name unless the wire itself decides.
  [[nodiscard]] virtual const HandoverRules& handover_rules(const Target& target) const noexcept {
    return v0::handover_rules(target.provider());
  }
};

}  // namespace backstop::inline v0::detail
