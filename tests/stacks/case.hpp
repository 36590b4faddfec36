#pragma once

#include <cstdint>
#include <vector>

/// A case of the stack fuzzer as data: which tree of clients and policies, over which targets, and who calls it how.
/// Everything is a small number, so that a case can be shrunk field by field and printed as a program. What the
/// numbers mean stands where they are turned into objects (`stack.cpp`) and into text (`program.cpp`).
namespace stacks {

using Millis = std::int64_t;

enum class PolicyKind : std::uint8_t {
  retry,
  timeout,
  breaker,
  cap_request,
  cap_budget,
  rate_limit,
  bulkhead,
  adaptive,
  cache,
  single_flight,
  before,
  after,
  around,
  decorator,
  probe,
  floor,
};

/// What a function of the application's own in a policy does.
enum BeforeLevel : std::uint8_t { before_tags, before_refuses, before_throws };
enum AfterLevel : std::uint8_t { after_looks, after_rescues, after_rejects, after_throws };
enum AroundLevel : std::uint8_t {
  around_once,
  around_again,   ///< a second call when the first failed and nothing was delivered
  around_sleeps,
  around_never,   ///< an answer of its own
  around_refuses,
  around_throws_before,
  around_throws_after,
};
/// What a quality floor does.
enum FloorLevel : std::uint8_t { floor_accepts, floor_rejects, floor_repairs, floor_judges };
enum DecoratorLevel : std::uint8_t { decorator_passes, decorator_again, decorator_throws };

struct PolicySpec {
  PolicyKind kind = PolicyKind::retry;
  int level = 0;   ///< which options
  int handle = 0;  ///< of those with the same kind and handle one limit, budget or breaker is shared

  friend bool operator==(const PolicySpec&, const PolicySpec&) = default;
};

enum class PriceSpec : std::uint8_t { unknown, zero, cheap, dear };

/// One answer of a target.
struct StepSpec {
  static constexpr int answers = -1;

  int fault = answers;  ///< index into `every_fault()`
  int pieces = 1;       ///< of an answer
  Millis latency = 0;
  Millis gap = 0;       ///< between pieces
  bool usage = true;    ///< reported
  int written = 2;      ///< tokens of output in the usage: about 4,000 are reserved unless the request says otherwise
};

enum class LeafKind : std::uint8_t {
  scripted,
  custom_answers,       ///< a ModelProvider of the application's own
  custom_throws,        ///< ... whose coroutine throws
  custom_throws_plain,  ///< ... whose `send` is no coroutine and throws
  custom_emits,         ///< ... that emits whether or not the call streams
  custom_claims,        ///< ... that fails, and says that the consumer has content and the end
};

struct LeafSpec {
  LeafKind kind = LeafKind::scripted;
  PriceSpec price = PriceSpec::cheap;
  std::int64_t window = 0;  ///< tokens; 0: not known
  bool tools = true;
  bool vision = true;
  bool prefill = false;
  int default_output = 0;   ///< the target's own output limit where the request has none; 0: none
  int override_output = 0;  ///< ... in any case
  bool always_cold = false;  ///< it is asked at temperature 0 in any case
  std::vector<StepSpec> script{};
};

struct ClientSpec {
  int mid_stream = 0;    ///< fail, restart, resume
  bool hold = false;
  int max_attempts = 0;  ///< 0: as by default
  Millis deadline = 0;   ///< 0: as by default
  bool filter_falls_back = false;
  bool with_draft = false;  ///< escalation
  int hedge = -1;     ///< which options; -1: none
  int recovery = 0;   ///< as by default, none, long and for two at most
  int strategy = 0;   ///< ordered, and all others
  int degrade = 0;    ///< which ladder; 0: none

  friend bool operator==(const ClientSpec&, const ClientSpec&) = default;
};

/// A target (`leaf` >= 0) or a client of the children, with the policies around it, inner to outer.
struct Node {
  int leaf = -1;
  ClientSpec client{};
  std::vector<Node> children{};
  std::vector<PolicySpec> policies{};
};

struct RequestSpec {
  bool tools = false;
  bool image = false;
  bool long_prompt = false;  ///< beyond doubt too long for a window of `small_window`
  int old_turns = 0;         ///< before the prompt, each as long
  bool cold = false;         ///< temperature 0
  int max_output = 0;        ///< 0: not said
};
inline constexpr std::int64_t small_window = 100;

enum class Face : std::uint8_t { chat, stream, start, start_sink, chat_async };
enum class OnDone : std::uint8_t { none, looks, throws, starts, chats, destroys };
enum class SinkDoes : std::uint8_t { takes, starts, chats, cancels, pauses };

/// One call of the application, and how it treats it. Times are counted from the beginning of the case.
struct ConsumerSpec {
  Face face = Face::chat;
  int request = 0;
  Millis at = 0;
  Millis deadline = 0;   ///< 0: the client's
  int max_attempts = 0;  ///< 0: the client's
  int leave_after = -1;  ///< events that a stream is read for; -1: all
  Millis read_gap = 0;   ///< between two events
  Millis cancel_at = -1;
  Millis destroy_at = -1;
  bool destroy_in_callback = false;
  OnDone on_done = OnDone::none;
  SinkDoes sink = SinkDoes::takes;
  std::vector<PolicySpec> around{};  ///< the client, for this call, inner to outer
  std::vector<int> targets{};        ///< those that may be asked, by their leaves; empty: all
};

struct Case {
  std::uint64_t seed = 0;  ///< decides, too, which of two ways with one meaning the consumers take
  Node root{};  ///< a client
  std::vector<LeafSpec> leaves{};
  std::vector<RequestSpec> requests{};
  std::vector<ConsumerSpec> consumers{};
};

/// Calls are cancelled by a token of theirs, not by their handle.
[[nodiscard]] inline bool stops_by_token(const Case& all) noexcept { return all.seed % 2 == 1; }
/// The events go to a function, not to a sink.
[[nodiscard]] inline bool takes_events(const Case& all, const ConsumerSpec& one) noexcept {
  return all.seed % 3 == 0 && one.sink != SinkDoes::pauses;
}
/// What the consumer does it does in the n-th event of progress, from 0, in the midst of a step of the call; -1: in the
/// first event of the answer.
[[nodiscard]] inline int acts_in_progress(const Case& all, const ConsumerSpec& one) noexcept {
  if (!takes_events(all, one) || one.sink == SinkDoes::takes || all.seed % 2 == 0) return -1;
  return static_cast<int>(all.seed / 6 % 5);
}

}  // namespace stacks
