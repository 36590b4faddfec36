#pragma once

#include <string_view>
#include <vector>

#include "stacks/case.hpp"

namespace stacks {

/// A case that once broke something, made small; as the fuzzer prints it under "to keep it".
struct KeptCase {
  std::string_view check;
  std::string_view what;
  Case kept;
};

[[nodiscard]] inline std::vector<KeptCase> kept_cases() {
  return {
      {"no-hang", "progress of a shared send is not told within the end of the call that began it",
       {.seed = 302550, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.latency = 5}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink, .destroy_at = 1, .sink = SinkDoes::chats}, {.face = Face::start_sink, .at = 1, .cancel_at = 1}}}},
      {"no-unfit-target-asked", "the forced probe of a target that cools down looks at what it can do",
       {.seed = 2364, .root = {.children = {{.leaf = 0}}}, .leaves = {{.window = 100, .script = {{.fault = 8}}}}, .requests = {{}, {.long_prompt = true}}, .consumers = {{}, {.request = 1}}}},
      {"text-equals-deltas", "held text of an attempt that failed is not let go while retry sleeps",
       {.seed = 22468, .root = {.client = {.hold = true}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::retry}}}}}, .leaves = {{.script = {{.fault = 23}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"text-equals-deltas", "an error after `restarted` has no text of before it",
       {.seed = 111958, .root = {.client = {.mid_stream = 1}, .children = {{.leaf = 0}, {.leaf = 1, .policies = {{.kind = PolicyKind::around, .level = 4}}}}}, .leaves = {{.script = {{.fault = 23}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"text-equals-deltas", "an answer that `after` turned into an error has been delivered",
       {.seed = 1350, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::after, .level = 2}}}}}, .leaves = {{.script = {{}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"text-equals-deltas", "an outer client does not go on where an inner one that resumes has delivered content",
       {.seed = 23283, .root = {.children = {{.client = {.mid_stream = 2}, .children = {{.leaf = 0}}}, {.leaf = 1}}}, .leaves = {{.script = {{.fault = 23}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"text-equals-deltas", "a caller who leaves a shared flight has the text that was delivered in its error",
       {.seed = 7, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.pieces = 3, .gap = 20}}}}, .requests = {{}}, .consumers = {{.face = Face::stream, .deadline = 1}}}},
      {"no-crash", "a stream is left while the call waits for its reader",
       {.seed = 600, .root = {.children = {{.leaf = 0}}}, .leaves = {{.script = {{.pieces = 70}}}}, .requests = {{}}, .consumers = {{.face = Face::stream, .leave_after = 5}}}},
      {"no-crash", "the deadline passes while a shared flight waits for its reader",
       {.seed = 62397, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.pieces = 150}}}}, .requests = {{}}, .consumers = {{.face = Face::stream, .deadline = 1000, .read_gap = 50}}}},
      {"no-crash", "a coroutine is destroyed while it waits for its answer",
       {.seed = 34, .root = {.children = {{.leaf = 0}}}, .leaves = {{.script = {{.latency = 1500}}}}, .requests = {{}}, .consumers = {{.face = Face::chat_async, .destroy_at = 60}}}},
      {"no-crash", "a provider emits to a call that does not stream",
       {.seed = 69, .root = {.children = {{.leaf = 0}}}, .leaves = {{.kind = LeafKind::custom_emits, .script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"answered-when-possible", "a provider of the application's own that throws is followed by the next",
       {.seed = 485, .root = {.children = {{.leaf = 0}, {.leaf = 1}}}, .leaves = {{.kind = LeafKind::custom_throws, .script = {{}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"answered-when-possible", "a client is fit when a member is",
       {.seed = 6184, .root = {.children = {{.children = {{.leaf = 0}, {.leaf = 1}}}}}, .leaves = {{.vision = false, .script = {{}}}, {.script = {{}}}}, .requests = {{.image = true}}, .consumers = {{}}}},
      {"answered-when-possible", "a limit of `timeout` around a client ends the attempt, not the client's walk",
       {.seed = 15510, .root = {.children = {{.children = {{.leaf = 0}, {.leaf = 1}}, .policies = {{.kind = PolicyKind::timeout, .level = 2}}}}}, .leaves = {{.script = {{.latency = 1500}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "retry in an inner client knows of the targets of the outer one",
       {.seed = 4290, .root = {.children = {{.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::retry}}}}}, {.leaf = 1}}}, .leaves = {{.script = {{.fault = 0}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "sends are kept for each target of an inner client",
       {.seed = 981, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::retry}}}, {.children = {{.leaf = 1}, {.leaf = 2}, {.leaf = 3}}}, {.leaf = 4}}}, .leaves = {{.script = {{.fault = 25}}}, {.script = {{}}}, {.script = {{}}}, {.script = {{}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "time is kept for each target of an inner client",
       {.seed = 696, .root = {.children = {{.leaf = 0}, {.children = {{.leaf = 1}, {.leaf = 2}, {.leaf = 3}}}, {.leaf = 4}, {.leaf = 5}}}, .leaves = {{.script = {{.fault = 15}}}, {.script = {{.fault = 16}}}, {.script = {{}}}, {.script = {{}}}, {.script = {{}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "a member's cooldown does not put its client to rest",
       {.seed = 3507, .root = {.children = {{.children = {{.leaf = 0}, {.leaf = 1}}}, {.leaf = 2}}}, .leaves = {{.script = {{.fault = 24}}}, {.script = {{.fault = 7}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}, {}}}},
      {"nested-equals-flat", "a rate limit in an inner client knows of the targets of the outer one",
       {.seed = 393, .root = {.children = {{.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::rate_limit, .level = 1}}}}}, {.leaf = 1}}}, .leaves = {{.script = {{}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}, {}}}},
      {"nested-equals-flat", "a client is priced when a member is",
       {.seed = 1197, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::cap_budget}}}, {.children = {{.leaf = 1}, {.leaf = 2}}}}}, .leaves = {{.price = PriceSpec::unknown, .script = {{}}}, {.price = PriceSpec::unknown, .script = {{}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "what a conversation needs after a refusal holds in an inner client too",
       {.seed = 2537, .root = {.children = {{.leaf = 0}, {.children = {{.leaf = 1}, {.leaf = 2}}}}}, .leaves = {{.window = 100, .script = {{.fault = 9}}}, {.script = {{.fault = 25}}}, {.window = 100, .script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"nested-equals-flat", "a client that is asked again and sends nothing does not replace the real failure",
       {.seed = 142618, .root = {.children = {{.children = {{.leaf = 0}, {.leaf = 1, .policies = {{.kind = PolicyKind::around, .level = 4}}}}}, {.leaf = 2, .policies = {{.kind = PolicyKind::timeout, .level = 2}}}}}, .leaves = {{.tools = false, .script = {{}}}, {.script = {{}}}, {.script = {{.latency = 1500}}}}, .requests = {{.tools = true}}, .consumers = {{}}}},
      {"nested-equals-flat", "a client whose targets are all unfit is passed over like one of them",
       {.seed = 5238593, .root = {.children = {{.leaf = 0}, {.children = {{.leaf = 1}, {.leaf = 2, .policies = {{.kind = PolicyKind::around, .level = 4}}}}}}}, .leaves = {{.vision = false, .script = {{}}}, {.window = 100, .script = {{}}}, {.script = {{}}}}, .requests = {{.image = true, .old_turns = 1}}, .consumers = {{}}}},
      {"cap-holds", "a cap below a shared flight counts what the call has spent before",
       {.seed = 117697, .root = {.client = {.recovery = 2}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::cap_request}, {.kind = PolicyKind::single_flight}}}}}, .leaves = {{.price = PriceSpec::dear, .script = {{.fault = 20}, {.written = 4000}}}}, .requests = {{}}, .consumers = {{}}}},
      {"spent-equals-rows", "a cap holds for the sends of a shared flight",
       {.seed = 14563, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}, {.kind = PolicyKind::retry}, {.kind = PolicyKind::cap_budget}}}}}, .leaves = {{.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"spent-equals-rows", "a cap books what was sent when a policy further in throws",
       {.seed = 53567, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::decorator, .level = 2}, {.kind = PolicyKind::cap_budget}}}}}, .leaves = {{.script = {{.fault = 4}}}}, .requests = {{}}, .consumers = {{}}}},
      {"cap-holds", "a cap asks before each send of a policy that calls twice",
       {.seed = 438281, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::decorator, .level = 1}, {.kind = PolicyKind::cap_request}}}}}, .leaves = {{.price = PriceSpec::dear, .script = {{.fault = 1}}}}, .requests = {{.image = true, .max_output = 20}}, .consumers = {{}}}},
      {"one-terminal-event", "held text is not handed over after the end, when the consumer waited for another call meanwhile",
       {.seed = 94976, .root = {.client = {.hold = true, .deadline = 1000}, .children = {{.leaf = 0}}}, .leaves = {{.script = {{.fault = 20}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink, .sink = SinkDoes::chats}}}},
      {"text-equals-deltas", "held text of a target that failed as a hedge is forgotten",
       {.seed = 9625, .root = {.client = {.hold = true, .hedge = 0}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::retry}}}, {.leaf = 1}}}, .leaves = {{.script = {{.latency = 12000}}}, {.script = {{.fault = 21}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"text-equals-deltas", "an answer in place of one whose held beginning was forgotten is streamed",
       {.seed = 105596, .root = {.client = {.hold = true}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::decorator, .level = 1}, {.kind = PolicyKind::after, .level = 1}}}}}, .leaves = {{.script = {{.fault = 24}}}}, .requests = {{}}, .consumers = {{.face = Face::stream, .max_attempts = 1}}}},
      {"answered-when-possible", "a shared flight of more events than it may be ahead goes on with its reader",
       {.seed = 44212, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.pieces = 150}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"no-crash", "the deadline passes while the consumer waits for another call inside an event of held text",
       {.seed = 146081, .root = {.client = {.mid_stream = 2, .hold = true}, .children = {{.leaf = 0}}}, .leaves = {{.script = {{.fault = 20}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink, .deadline = 1000, .sink = SinkDoes::chats}}}},
      {"no-crash", "a callback waits for a call while another callback destroys a third",
       {.seed = 79823, .root = {.children = {{.leaf = 0}}}, .leaves = {{.script = {{.pieces = 2, .gap = 400}}}}, .requests = {{}}, .consumers = {{.face = Face::start, .on_done = OnDone::chats}, {}, {.face = Face::start, .destroy_at = 400, .destroy_in_callback = true}}}},
      {"text-equals-deltas", "a shared flight of more events than a reader's buffer holds arrives whole",
       {.seed = 6210, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.pieces = 70, .latency = 50}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"no-crash", "the deadline of a call passes while its consumer waits for another inside an event of a shared send",
       {.seed = 954657, .root = {.children = {{.client = {.hold = true, .deadline = 1000, .recovery = 1}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}}}}, .policies = {{.kind = PolicyKind::single_flight}}}}}, .leaves = {{.script = {{.latency = 300}, {.latency = 1500}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink, .sink = SinkDoes::chats}}}},
      {"text-equals-deltas", "the hold's time is over while a shared send that failed waits to be repeated",
       {.seed = 291503, .root = {.client = {.hold = true, .hedge = 0, .recovery = 2}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::single_flight}, {.kind = PolicyKind::retry}}}}}, .leaves = {{.script = {{.fault = 21}, {}}}}, .requests = {{}}, .consumers = {{.face = Face::stream}}}},
      {"nested-equals-flat", "a client's target that left the call to others is asked when these have failed",
       {.seed = 74634, .root = {.children = {{.children = {{.leaf = 0}, {.leaf = 1, .policies = {{.kind = PolicyKind::breaker}}}}}, {.leaf = 2}}}, .leaves = {{.script = {{.fault = 8}}}, {.script = {{.fault = 17}, {}}}, {.script = {{.fault = 24, .latency = 12000}}}}, .requests = {{}}, .consumers = {{}, {}, {}, {}}}},
      {"text-equals-deltas", "a client whose stream broke, and that found nobody to resume it, is asked again",
       {.seed = 501533, .root = {.client = {.recovery = 2}, .children = {{.client = {.mid_stream = 2}, .children = {{.leaf = 0}}, .policies = {{.kind = PolicyKind::decorator, .level = 1}}}, {.leaf = 1}}}, .leaves = {{.script = {{.fault = 20}}}, {.script = {{}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink}}}},
      {"nested-equals-flat", "who else is ready is found out anew for each target of a client",
       {.seed = 621068, .root = {.children = {{.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::after, .level = 2}}}, {.leaf = 1}}}, {.leaf = 2}}}, .leaves = {{.script = {{.fault = 16}}}, {.script = {{.fault = 15}}}, {.script = {{.fault = 1}}}}, .requests = {{}}, .consumers = {{}, {}}}},
      {"no-crash", "a client one of whose targets refused the length of the request is asked again for the others",
       {.seed = 45424, .root = {.client = {.degrade = 4}, .children = {{.children = {{.leaf = 0}, {.leaf = 1}}}}}, .leaves = {{.script = {{.fault = 23}}}, {.script = {{.fault = 9}}}}, .requests = {{}}, .consumers = {{}}}},
      {"no-hang", "a client around one with a ladder does not shut it out for what one of its targets lacks",
       {.seed = 23756, .root = {.children = {{.client = {.degrade = 2}, .children = {{.leaf = 0}, {.leaf = 1}}}}}, .leaves = {{.script = {{}, {.fault = 2}}}, {.script = {{.fault = 9}}}}, .requests = {{}}, .consumers = {{}, {.face = Face::start}, {}}}},
      {"explain-agrees", "a call that meets a bulkhead twice does not wait for itself",
       {.seed = 1045, .root = {.children = {{.leaf = 0, .policies = {{.kind = PolicyKind::bulkhead, .level = 2}, {.kind = PolicyKind::bulkhead}}}}}, .leaves = {{.script = {{}}}}, .requests = {{}}, .consumers = {{}}}},
      {"spent-equals-rows", "a budget on both sides of a shared send counts it once, whoever takes it over",
       {.seed = 9241, .root = {.client = {.deadline = 1000}, .children = {{.leaf = 0, .policies = {{.kind = PolicyKind::cap_budget}, {.kind = PolicyKind::single_flight}, {.kind = PolicyKind::cap_budget}}}}}, .leaves = {{.script = {{}}}}, .requests = {{}}, .consumers = {{.face = Face::start_sink, .sink = SinkDoes::pauses}, {.face = Face::start_sink, .sink = SinkDoes::pauses}}}},
  };
}

}  // namespace stacks
