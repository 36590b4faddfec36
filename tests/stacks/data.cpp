#include "stacks/data.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <type_traits>
#include <vector>

namespace stacks {
namespace {

constexpr std::array<std::string_view, 16> policy_names{
    "retry", "timeout", "breaker", "cap_request", "cap_budget", "rate_limit", "bulkhead", "adaptive",
    "cache", "single_flight", "before", "after", "around", "decorator", "probe", "floor"};
constexpr std::array<std::string_view, 4> price_names{"unknown", "zero", "cheap", "dear"};
constexpr std::array<std::string_view, 6> leaf_names{"scripted", "custom_answers", "custom_throws",
                                                     "custom_throws_plain", "custom_emits", "custom_claims"};
constexpr std::array<std::string_view, 5> face_names{"chat", "stream", "start", "start_sink", "chat_async"};
constexpr std::array<std::string_view, 6> on_done_names{"none", "looks", "throws", "starts", "chats", "destroys"};
constexpr std::array<std::string_view, 5> sink_names{"takes", "starts", "chats", "cancels", "pauses"};

/// An aggregate's designated initialisers.
class Fields {
 public:
  template <class T>
  Fields& add(std::string_view name, const T& value, const T& usual) {
    if (value == usual) return *this;
    if constexpr (std::is_same_v<T, bool>) return add_text(name, value ? "true" : "false");
    else return add_text(name, fmt::format("{}", value));
  }
  template <class E, std::size_t count>
  Fields& add(std::string_view name, std::string_view type, E value, E usual,
              const std::array<std::string_view, count>& names) {
    if (value == usual) return *this;
    return add_text(name, fmt::format("{}::{}", type, names[static_cast<std::size_t>(value)]));
  }
  template <class T, class Text>
  Fields& list(std::string_view name, const std::vector<T>& items, Text text) {
    if (items.empty()) return *this;
    std::string all;
    for (const T& item : items) all += (all.empty() ? "" : ", ") + text(item);
    return add_text(name, "{" + all + "}");
  }
  Fields& add_text(std::string_view name, std::string_view value) {
    text_ += fmt::format("{}.{} = {}", text_.empty() ? "" : ", ", name, value);
    return *this;
  }
  [[nodiscard]] std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

std::string text_of(const PolicySpec& spec) {
  const PolicySpec usual;
  Fields fields;
  fields.add_text("kind", fmt::format("PolicyKind::{}", policy_names[static_cast<std::size_t>(spec.kind)]));
  return fields.add("level", spec.level, usual.level).add("handle", spec.handle, usual.handle).text();
}

std::string text_of(const StepSpec& spec) {
  const StepSpec usual;
  return Fields{}
      .add("fault", spec.fault, usual.fault)
      .add("pieces", spec.pieces, usual.pieces)
      .add("latency", spec.latency, usual.latency)
      .add("gap", spec.gap, usual.gap)
      .add("usage", spec.usage, usual.usage)
      .add("written", spec.written, usual.written)
      .text();
}

std::string text_of(const LeafSpec& spec) {
  const LeafSpec usual;
  return Fields{}
      .add("kind", "LeafKind", spec.kind, usual.kind, leaf_names)
      .add("price", "PriceSpec", spec.price, usual.price, price_names)
      .add("window", spec.window, usual.window)
      .add("tools", spec.tools, usual.tools)
      .add("vision", spec.vision, usual.vision)
      .add("prefill", spec.prefill, usual.prefill)
      .add("default_output", spec.default_output, usual.default_output)
      .add("override_output", spec.override_output, usual.override_output)
      .add("always_cold", spec.always_cold, usual.always_cold)
      .list("script", spec.script, [](const StepSpec& step) { return text_of(step); })
      .text();
}

std::string text_of(const ClientSpec& spec) {
  const ClientSpec usual;
  return Fields{}
      .add("mid_stream", spec.mid_stream, usual.mid_stream)
      .add("hold", spec.hold, usual.hold)
      .add("max_attempts", spec.max_attempts, usual.max_attempts)
      .add("deadline", spec.deadline, usual.deadline)
      .add("filter_falls_back", spec.filter_falls_back, usual.filter_falls_back)
      .add("with_draft", spec.with_draft, usual.with_draft)
      .add("hedge", spec.hedge, usual.hedge)
      .add("recovery", spec.recovery, usual.recovery)
      .add("strategy", spec.strategy, usual.strategy)
      .add("degrade", spec.degrade, usual.degrade)
      .text();
}

std::string text_of(const Node& node) {
  Fields fields;
  fields.add("leaf", node.leaf, -1);
  if (!(node.client == ClientSpec{})) fields.add_text("client", text_of(node.client));
  return fields.list("children", node.children, [](const Node& child) { return text_of(child); })
      .list("policies", node.policies, [](const PolicySpec& policy) { return text_of(policy); })
      .text();
}

std::string text_of(const RequestSpec& spec) {
  const RequestSpec usual;
  return Fields{}
      .add("tools", spec.tools, usual.tools)
      .add("image", spec.image, usual.image)
      .add("long_prompt", spec.long_prompt, usual.long_prompt)
      .add("old_turns", spec.old_turns, usual.old_turns)
      .add("cold", spec.cold, usual.cold)
      .add("max_output", spec.max_output, usual.max_output)
      .text();
}

std::string text_of(const ConsumerSpec& spec) {
  const ConsumerSpec usual;
  return Fields{}
      .add("face", "Face", spec.face, usual.face, face_names)
      .add("request", spec.request, usual.request)
      .add("at", spec.at, usual.at)
      .add("deadline", spec.deadline, usual.deadline)
      .add("max_attempts", spec.max_attempts, usual.max_attempts)
      .add("leave_after", spec.leave_after, usual.leave_after)
      .add("read_gap", spec.read_gap, usual.read_gap)
      .add("cancel_at", spec.cancel_at, usual.cancel_at)
      .add("destroy_at", spec.destroy_at, usual.destroy_at)
      .add("destroy_in_callback", spec.destroy_in_callback, usual.destroy_in_callback)
      .add("on_done", "OnDone", spec.on_done, usual.on_done, on_done_names)
      .add("sink", "SinkDoes", spec.sink, usual.sink, sink_names)
      .list("around", spec.around, [](const PolicySpec& policy) { return text_of(policy); })
      .list("targets", spec.targets, [](int leaf) { return fmt::format("{}", leaf); })
      .text();
}

}  // namespace

std::string data_of(const Case& shown) {
  Fields fields;
  return fields.add("seed", shown.seed, std::uint64_t{0})
      .add_text("root", text_of(shown.root))
      .list("leaves", shown.leaves, [](const LeafSpec& leaf) { return text_of(leaf); })
      .list("requests", shown.requests, [](const RequestSpec& request) { return text_of(request); })
      .list("consumers", shown.consumers, [](const ConsumerSpec& consumer) { return text_of(consumer); })
      .text();
}

}  // namespace stacks
