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

#include "backstop/chat/gateway_report.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/chat/stream_event.hpp"
#include "backstop/providers/answer_limits.hpp"
#include "object_scan.hpp"
#include "provider_failure.hpp"

namespace backstop::inline v0 {
class CallContext;
class Projection;
}

namespace backstop::inline v0::detail {

/// What is beyond a limit, as in "the answer is larger than 64 MiB (`AnswerLimits::bytes`)".
[[nodiscard]] Error too_large(std::string_view what, std::size_t limit, std::string_view option);

/// Puts an answer together from its pieces, for every wire, streamed or not: emits the pieces to the call's consumer
/// as they come, and decides at the end what the whole is. The rules of what counts as an answer stand here and
/// nowhere else; a wire only says what it read.
///
/// An answer beyond the limits fails; what comes after that is dropped.
///
/// Cost: linear in what is read, however it is cut into pieces, parts and calls; no allocation per piece, except as the
/// texts grow.
class AnswerBuilder {
 public:
  /// Emits to the context's consumer when there is one. Null: only collects. The context must outlive the builder.
  AnswerBuilder(const Target& target, const CallContext* context);
  void set_limits(const AnswerLimits& limits) noexcept { limits_ = limits; }
  /// The conversation went out under this projection: tools get the application's names back. It must outlive the
  /// builder.
  void set_projection(const Projection& projection) noexcept { projection_ = &projection; }

  // What the wire read. Empty deltas are fine and count for nothing.

  void text(std::string_view delta);
  /// The words in which the model refused: text, and the finish reason becomes `content_filter`.
  void refusal(std::string_view delta);
  void reasoning(std::string_view delta);
  /// Belongs to the reasoning that is being written (an empty one is begun where there is none).
  void reasoning_signature(std::string_view piece);
  /// A block of encrypted reasoning, on its own.
  void redacted_reasoning(std::string_view data);
  /// What comes next begins a new part even if it is of the same sort.
  void end_part() noexcept { open_part_ = no_part; }

  /// More of the tool call with the wire's number `index`. An empty id or name means "not in this piece"; a name that
  /// is repeated is kept once. `arguments` are appended.
  ///
  /// Some servers number all calls 0: another id with a name begins another call, and so does a name with arguments
  /// after arguments that are whole. The same id, name and whole arguments again are the same call.
  void tool_call(std::int64_t index, std::string_view id, std::string_view name, std::string_view arguments);
  /// No more of it will come, if the wire says so.
  void end_tool_call(std::int64_t index);

  void id(std::string_view id);
  void model(std::string_view model);
  /// Why the model stopped, in the provider's word (`finish_reasons.hpp`). A known reason makes the answer complete,
  /// as long as no content follows; a word for a failure is one; any other is noted as `other` where nothing better is
  /// known. The last reason wins.
  void finish_word(std::string_view word);
  void finish_reason(FinishReason reason) noexcept { finish_reason_ = reason; }
  [[nodiscard]] Usage& usage() noexcept { return usage_; }
  /// What the answer tells of a gateway in front of the model.
  [[nodiscard]] GatewayReport& gateway() noexcept { return gateway_; }

  /// The wire's terminal marker (one that may stand before further events, such as usage): if the body ends now, the
  /// answer is complete. Content that comes after it takes that back.
  void complete() noexcept { complete_ = true; }
  /// The provider reports an error inside the answer. The first one stands.
  void fail(ProviderFailure failure);
  /// `what`, which is needed, has a form that cannot be read: the answer is malformed rather than one with a gap.
  void unreadable(std::string_view what);
  /// A filter blocked the prompt; nothing else will come.
  void block(std::string_view message, std::string_view code);

  // What has come of it.

  [[nodiscard]] bool is_complete() const noexcept { return complete_; }
  [[nodiscard]] const Target& answered_by() const noexcept { return target_; }
  [[nodiscard]] const std::optional<ProviderFailure>& failure() const noexcept { return failure_; }
  [[nodiscard]] bool has_tool_calls() const noexcept { return !calls_.empty(); }
  [[nodiscard]] bool has_text() const noexcept { return wrote_text_; }
  [[nodiscard]] bool has_content() const noexcept { return wrote_text_ || wrote_reasoning_ || has_tool_calls(); }
  /// The text that has been written, handed over or not.
  [[nodiscard]] std::string partial_text() const { return text_of(parts_); }

  /// The answer; or why a complete body is none: `content_filtered`, or `malformed_response` for an empty one and for
  /// a call that does not say of what.
  /// Tool calls still open are closed and emitted. Call once, without a failure.
  [[nodiscard]] Result<ChatResponse> take();

 private:
  struct Call {
    std::size_t part = 0;   ///< where in `parts_`; its arguments stay empty until it has ended
    std::string wire_id;    ///< as the provider wrote it; ours may differ
    std::string arguments;  ///< so far
    ObjectScan scan;        ///< of the arguments
    bool ended = false;
  };
  static constexpr std::size_t no_part = static_cast<std::size_t>(-1);

  template <class P>
  P& open();
  [[nodiscard]] bool has_room(std::size_t bytes);
  void exceed(std::string finding);
  void malformed(std::string finding);
  [[nodiscard]] Call* last_call(std::int64_t index) noexcept;
  [[nodiscard]] std::string_view our_name(std::string_view name) const noexcept;
  [[nodiscard]] bool begins_another(const Call& call, std::string_view id, std::string_view name,
                                    std::string_view arguments) const noexcept;
  [[nodiscard]] bool repeats(const Call& call, std::string_view id, std::string_view name,
                             std::string_view arguments) const noexcept;
  [[nodiscard]] const ToolCall& written(const Call& call) const noexcept;
  Call& begin_call(std::int64_t index, std::string_view id);
  void end_call(Call& call);
  void end_whole_calls();
  void emit(StreamEvent::Type type, std::string_view delta, const ToolCall* call = nullptr);
  [[nodiscard]] std::string new_call_id();

  Target target_;
  const CallContext* context_;
  const Projection* projection_ = nullptr;
  std::vector<Part> parts_;
  std::vector<Call> calls_;
  std::map<std::int64_t, std::size_t> last_calls_;   // by the wire's number: where in `calls_`
  std::set<std::string, std::less<>> ids_;           // of all calls, ours
  std::vector<std::size_t> closed_;                  // calls whose arguments look whole, to be ended
  std::size_t open_part_ = no_part;
  AnswerLimits limits_;
  std::size_t bytes_ = 0;
  bool exceeded_ = false;
  Usage usage_;
  GatewayReport gateway_;
  std::string id_;
  std::string model_;
  std::optional<FinishReason> finish_reason_;
  std::optional<ProviderFailure> failure_;
  bool complete_ = false;
  bool refused_ = false;
  bool wrote_text_ = false;
  bool wrote_reasoning_ = false;
  std::uint64_t made_up_ids_ = 0;
};

}  // namespace backstop::inline v0::detail
