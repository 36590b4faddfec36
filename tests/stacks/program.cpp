#include "stacks/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>

#include "backstop/testing/faults.hpp"
#include "stacks/options.hpp"

namespace stacks {
namespace {

template <class... Args>
void line(std::string& text, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
  text += '\n';
}

/// The expressions that make the faults of `every_fault()`, in its order.
constexpr std::array<std::string_view, 29> fault_texts{
    "rate_limited()", "rate_limited(2s)", "overloaded()", "server_error()", "server_error(502)", "quota_exhausted()",
    "bad_key()", "no_permission()", "no_such_model()", "context_too_long()", "filtered()", "bad_request()",
    "connection_reset()", "connection_refused()", "no_connection()", "silence()", "late_first_token(20s)",
    "pings_only()", "cut_after({})", "cut_after({\"Once \", \"upon \"}, 10ms)",
    "stalled_after({\"Once \", \"upon \"}, 30s)", "garbled_after({\"Once \"})", "error_event_after({})",
    "error_event_after({\"Once \"})", "cut_tool_call()", "empty_answer()", "length_limited()", "refusal()",
    "broken_arguments()"};

std::string step_text(const StepSpec& step, int leaf) {
  std::string text;
  const std::string usage = step.usage ? fmt::format(".usage(3, {})", step.written) : "";
  if (step.fault != StepSpec::answers) {
    const auto index = static_cast<std::size_t>(step.fault);
    text = index < fault_texts.size() ? fmt::format("testing::{}", fault_texts[index])
                                      : fmt::format("testing::every_fault()[{}].step", index);
  } else if (step.pieces == 1) {
    text = fmt::format("testing::answer(\"ANSWER-MARK p{} \"){}", leaf,
                       usage);
  } else {
    text = fmt::format("stacks::pieces({}, \"ANSWER-MARK p{} \"{}){}", step.pieces, leaf,
                       step.gap > 0 ? fmt::format(", {}ms", step.gap) : "",
                       usage);
  }
  if (step.latency > 0) text += fmt::format(".after({}ms)", step.latency);
  return text;
}

std::string policy_text(const PolicySpec& spec) {
  constexpr std::array<std::string_view, 7> around{"once", "again", "sleeps_first", "never", "refuses", "throws_before",
                                                   "throws_after"};
  switch (spec.kind) {
    case PolicyKind::retry: return fmt::format("retry({})", at_level(tables::retry, spec.level).text);
    case PolicyKind::timeout: return fmt::format("timeout({})", at_level(tables::timeout, spec.level).text);
    case PolicyKind::breaker: return fmt::format("circuit_breaker(breaker{})", spec.handle);
    case PolicyKind::cap_request:
      return fmt::format("cost_cap(CostCapOptions{{.per_request = {}}})", at_level(tables::cap, spec.level).text);
    case PolicyKind::cap_budget: return fmt::format("cost_cap(budget{})", spec.handle);
    case PolicyKind::rate_limit: return fmt::format("rate_limit(rate{})", spec.handle);
    case PolicyKind::bulkhead: return fmt::format("bulkhead(sends{})", spec.handle);
    case PolicyKind::adaptive: return fmt::format("adaptive_concurrency(adaptive{})", spec.handle);
    case PolicyKind::cache: return fmt::format("cache({})", at_level(tables::cache, spec.level).text);
    case PolicyKind::single_flight: return "single_flight()";
    case PolicyKind::before:
      if (spec.level == before_refuses) {
        return "intercept({.before = [](RequestEdit&) -> Result<void> { return Error{ErrorKind::invalid_request, "
               "\"no\"}; }})";
      }
      if (spec.level == before_throws) {
        return "intercept({.before = [](RequestEdit&) -> Result<void> { throw std::runtime_error{\"thrown\"}; }})";
      }
      return "intercept({.before = [](RequestEdit& edit) -> Result<void> { "
             "edit.edit().metadata.tags.emplace_back(\"a\", \"b\"); return {}; }})";
    case PolicyKind::after:
      if (spec.level == after_throws) {
        return "intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) { "
               "throw std::runtime_error{\"thrown\"}; }})";
      }
      if (spec.level == after_rescues) {
        return "intercept({.after = [](const ChatRequest&, Result<ChatResponse>& result) { if (!result && "
               "result.error().kind == ErrorKind::local_limit) result = stacks::own_answer(\"rescued\"); }})";
      }
      if (spec.level == after_rejects) {
        return "intercept({.after = [](const ChatRequest&, Result<ChatResponse>& result) { if (result) result = "
               "Error{ErrorKind::rejected_response, \"not good enough\"}; }})";
      }
      return "intercept({.after = [](const ChatRequest&, Result<ChatResponse>&) {}})";
    case PolicyKind::around:
      return fmt::format("intercept({{.around = stacks::{}}})",
                         around[static_cast<std::size_t>(spec.level) % around.size()]);
    case PolicyKind::probe: return fmt::format("stacks::probed({})", spec.level == 0);
    case PolicyKind::decorator:
      return fmt::format("stacks::own_policy(stacks::OwnDecorator::Does::{})",
                         std::array{"passes", "again", "throws"}[static_cast<std::size_t>(spec.level) % 3]);
    case PolicyKind::floor: return fmt::format("stacks::quality_floor({})", spec.level);
  }
  return {};
}

class Printer {
 public:
  explicit Printer(const Case& shown) : case_{&shown} {}

  std::string print() {
    line(text_, "// seed {}", case_->seed);
    line(text_, "#include <optional>\n#include <backstop/backstop.hpp>\n#include <backstop/testing/event_log.hpp>");
    line(text_, "#include <backstop/testing/faults.hpp>\n#include <backstop/testing/scripted_provider.hpp>");
    line(text_, "#include <backstop/testing/virtual_runtime.hpp>\n#include \"stacks/own_code.hpp\"");
    line(text_, "using namespace backstop;\nusing namespace std::chrono_literals;\n");
    line(text_, "int main() {{\n  testing::VirtualRuntime runtime{{{}}};", case_->seed + 1);
    handles(case_->root);
    for (const ConsumerSpec& one : case_->consumers) handles(one.around);
    for (std::size_t i = 0; i < case_->leaves.size(); ++i) leaf(static_cast<int>(i));
    line(text_, "  const FallbackClient client{};", client(case_->root));
    for (std::size_t i = 0; i < case_->requests.size(); ++i) request(i);
    for (std::size_t i = 0; i < case_->consumers.size(); ++i) consumer(i);
    leave_and_wait();
    line(text_, "  runtime.run_for(2h);\n}}");
    return std::move(text_);
  }

 private:
  void handles(const Node& node) {
    handles(node.policies);
    for (const Node& child : node.children) handles(child);
  }
  void handles(const std::vector<PolicySpec>& policies) {
    for (const PolicySpec& spec : policies) {
      if (!declared_.insert({spec.kind, spec.handle}).second) continue;
      switch (spec.kind) {
        case PolicyKind::breaker:
          line(text_, "  const auto breaker{} = CircuitBreaker::create({});", spec.handle,
               at_level(tables::breaker, spec.level).text);
          break;
        case PolicyKind::cap_budget:
          line(text_, "  const Budget budget{}{{{{.per_period = {}, .period = 10'000h}}}};", spec.handle,
               at_level(tables::cap, spec.level).text);
          break;
        case PolicyKind::rate_limit:
          line(text_, "  const RateLimit rate{}{{{}}};", spec.handle, at_level(tables::rate_limit, spec.level).text);
          break;
        case PolicyKind::bulkhead:
          line(text_, "  const ConcurrencyLimit sends{}{{{}}};", spec.handle,
               at_level(tables::bulkhead, spec.level).text);
          break;
        case PolicyKind::adaptive:
          line(text_, "  const ConcurrencyLimit adaptive{}{{{}}};", spec.handle,
               at_level(tables::adaptive, spec.level).text);
          break;
        default: break;
      }
    }
  }

  void leaf(int number) {
    const LeafSpec& spec = case_->leaves[static_cast<std::size_t>(number)];
    line(text_, "  ModelFacts facts{};", number);
    if (spec.price == PriceSpec::zero) line(text_, "  facts{}.price = Price{{}};", number);
    if (spec.price == PriceSpec::cheap || spec.price == PriceSpec::dear) {
      line(text_,
           "  facts{}.price = Price{{.input = Money::usd_per_million({}), .output = Money::usd_per_million({})}};",
           number, spec.price == PriceSpec::cheap ? 1 : 5, spec.price == PriceSpec::cheap ? 2 : 20);
    }
    if (spec.window > 0) line(text_, "  facts{}.context_window = {};", number, spec.window);
    if (!spec.tools) line(text_, "  facts{}.capabilities.tools = false;", number);
    if (!spec.vision) line(text_, "  facts{}.capabilities.vision = false;", number);
    if (spec.prefill) line(text_, "  facts{}.capabilities.prefill = true;", number);
    if (spec.default_output > 0) {
      line(text_, "  facts{}.defaults.max_output_tokens = {};", number, spec.default_output);
    }
    if (spec.override_output > 0) {
      line(text_, "  facts{}.overrides.max_output_tokens = {};", number, spec.override_output);
    }
    if (spec.always_cold) line(text_, "  facts{}.overrides.temperature = 0.0;", number);
    if (spec.kind != LeafKind::scripted) {
      constexpr std::array<std::string_view, 6> does{"", "answers", "throws", "throws_plain", "emits", "claims"};
      line(text_,
           "  const stacks::OwnProvider p{0}{{Target{{\"p{0}\", \"m\", facts{0}}}, stacks::OwnProvider::Does::{1}}};",
           number, does[static_cast<std::size_t>(spec.kind)]);
      return;
    }
    std::string steps;
    for (const StepSpec& step : spec.script) steps += (steps.empty() ? "" : ", ") + step_text(step, number);
    line(text_, "  const testing::ScriptedProvider p{0}{{Target{{\"p{0}\", \"m\", facts{0}}}, {{{1}}}}};", number,
         steps);
  }

  std::string provider(const Node& node) {
    std::string text = node.leaf >= 0 ? fmt::format("p{}", node.leaf) : fmt::format("FallbackClient{}", client(node));
    for (const PolicySpec& policy : node.policies) text += " | " + policy_text(policy);
    return text;
  }

  std::string client(const Node& node) {
    std::string text = "{std::vector<Provider>{";
    for (const Node& child : node.children) text += (&child == &node.children.front() ? "" : ", ") + provider(child);
    text += "}, {";
    if (node.client.max_attempts > 0 || node.client.deadline > 0) {
      text += ".limits = {";
      if (node.client.deadline > 0) text += fmt::format(".deadline = {}ms, ", node.client.deadline);
      if (node.client.max_attempts > 0) text += fmt::format(".max_attempts = {}", node.client.max_attempts);
      text += "}, ";
    }
    if (node.client.strategy > 0) {
      text += fmt::format(".strategy = {}, ", at_level(tables::strategy, node.client.strategy).text);
    }
    if (node.client.mid_stream > 0) {
      text += fmt::format(".mid_stream = MidStream::{}, ", node.client.mid_stream == 1 ? "restart" : "resume");
    }
    if (node.client.hold) text += ".hold = StreamHold{.tokens = 10, .time = 200ms}, ";
    if (node.client.filter_falls_back) text += ".fall_back_on_content_filter = true, ";
    if (node.client.with_draft) text += ".escalation = Escalation::with_draft, ";
    if (node.client.hedge >= 0) text += fmt::format(".hedge = {}, ", at_level(tables::hedge, node.client.hedge).text);
    if (node.client.recovery > 0) {
      text += fmt::format(".recovery = {}, ", at_level(tables::recovery, node.client.recovery).text);
    }
    text += at_level(tables::degrade, node.client.degrade).text;
    return text + ".runtime = runtime.share()}}";
  }

  void request(std::size_t number) {
    const RequestSpec& spec = case_->requests[number];
    line(text_, "  ChatRequest request{0}{{\"PROMPT-MARK q{0}\"{1}}};", number,
         spec.long_prompt ? fmt::format(" + std::string({}, 'a')", 7 * small_window) : "");
    for (int turn = 0; turn < spec.old_turns; ++turn) {
      line(text_, "  request{0}.messages.insert(request{0}.messages.begin(), Message::user(std::string({1}, 'b')));", number,
           7 * small_window);
    }
    line(text_, "  request{}.metadata.session_id = \"session {}\";", number, number % 2);
    if (spec.image) {
      line(text_, "  request{}.messages.back().parts.emplace_back(Image{{.url = \"https://example.org/a.png\"}});",
           number);
    }
    if (spec.tools) line(text_, "  request{}.tools.push_back(Tool{{.name = \"search\"}});", number);
    if (spec.cold) line(text_, "  request{}.temperature = 0.0;", number);
    if (spec.max_output > 0) line(text_, "  request{}.max_output_tokens = {};", number, spec.max_output);
  }

  std::string limits(const ConsumerSpec& one) const {
    std::string text = ".limits = {";
    if (one.deadline > 0) text += fmt::format(".deadline = {}ms, ", one.deadline);
    if (one.max_attempts > 0) text += fmt::format(".max_attempts = {}", one.max_attempts);
    return text + "}";
  }

  /// The options behind those of the consumer.
  static std::string targets_and_around(const ConsumerSpec& one) {
    std::string text;
    for (const int leaf : one.targets) text += fmt::format("{}\"p{}/m\"", text.empty() ? ", .targets = {" : ", ", leaf);
    if (!text.empty()) text += "}";
    const char* separator = ", .around = ";
    for (const PolicySpec& policy : one.around) text += std::exchange(separator, " | ") + policy_text(policy);
    return text;
  }
  std::string call_options(const ConsumerSpec& one) const { return limits(one) + targets_and_around(one); }

  void consumer(std::size_t index) {
    const ConsumerSpec& one = case_->consumers[index];
    if (one.at > 0) line(text_, "  if ({0}ms > runtime.elapsed()) runtime.run_for({0}ms - runtime.elapsed());", one.at);
    switch (one.face) {
      case Face::chat:
        line(text_, "  auto reply{} = client.chat(request{}, {{{}}});", index, one.request, call_options(one));
        break;
      case Face::stream: stream(index, one); break;
      case Face::chat_async:
        line(text_, "  std::optional<Result<ChatResponse>> reply{};", index);
        line(text_, "  const CallOptions options{}{{{}}};", index, call_options(one));
        line(text_, "  std::optional<stacks::Coroutine> call{0}{{stacks::ask(client, request{1}, options{0}, reply{0})}};",
             index, one.request);
        break;
      case Face::start:
      case Face::start_sink: start(index, one); break;
    }
  }

  void stream(std::size_t index, const ConsumerSpec& one) {
    line(text_, "  {{\n    ChatStream stream{} = client.stream(request{}, {{{}}});", index, one.request, call_options(one));
    const std::string gap = one.read_gap > 0 ? fmt::format("runtime.run_for({}ms);", one.read_gap) : ";";
    if (one.leave_after < 0) line(text_, "    while (stream{}.next() != nullptr) {}", index, gap);
    if (one.leave_after > 0) {
      line(text_, "    for (int i = 0; i < {} && stream{}.next() != nullptr; ++i) {}", one.leave_after, index, gap);
    }
    line(text_, "  }}");
  }

  void start(std::size_t index, const ConsumerSpec& one) {
    constexpr std::string_view inner_limits = "{.limits = {.deadline = 5s, .max_attempts = 2}}";
    const std::string start_inside =
        fmt::format("inner{}.push_back(client.start(request{}, {}));", index, one.request, inner_limits);
    const std::string chat_inside =
        fmt::format("static_cast<void>(client.chat(request{}, {}));", one.request, inner_limits);
    const bool starts = one.on_done == OnDone::starts || (one.face == Face::start_sink && one.sink == SinkDoes::starts);
    if (starts) line(text_, "  std::vector<PendingCall> inner{};", index);
    if (one.face == Face::start_sink) line(text_, "  testing::EventLog sink{}{{runtime.runtime()}};", index);
    std::string doing;
    switch (one.sink) {
      case SinkDoes::starts: doing = start_inside; break;
      case SinkDoes::chats: doing = chat_inside; break;
      case SinkDoes::cancels: doing = fmt::format("call{}->cancel();", index); break;
      case SinkDoes::pauses:
        doing = fmt::format("sink{0}.pause(); runtime.at(runtime.elapsed() + 3s, [&] {{ sink{0}.resume(); }});", index);
        break;
      case SinkDoes::takes: break;
    }
    const int in_progress = acts_in_progress(*case_, one);
    std::string options = limits(one);
    if (stops_by_token(*case_)) {
      line(text_, "  std::stop_source stop{};", index);
      options += fmt::format(", .stop = stop{}.get_token()", index);
    }
    if (one.face == Face::start_sink) {
      if (in_progress >= 0) {
        options += fmt::format(", .on_event = [&, seen = 0](const StreamEvent& event) mutable {{ if (event.progress == "
                               "nullptr) return sink{}.on_event(event); if (seen++ == {}) {{ {} }} }}",
                               index, in_progress, doing);
      } else {
        options += takes_events(*case_, one)
                       ? fmt::format(", .on_event = [&](const StreamEvent& event) {{ if (event.type != "
                                     "StreamEvent::Type::progress) sink{}.on_event(event); }}", index)
                       : fmt::format(", .sink = &sink{}", index);
      }
    }
    options += targets_and_around(one);
    line(text_, "  std::optional<PendingCall> call{0}{{client.start(request{1}, {{{2}}})}};", index, one.request, options);
    if (one.face == Face::start_sink && one.sink != SinkDoes::takes && in_progress < 0) {
      line(text_,
           "  sink{0}.on_each([&, first = true](const testing::RecordedEvent&) mutable {{ "
           "if (std::exchange(first, false)) {{ {1} }} }});",
           index, doing);
    }
    if (one.on_done != OnDone::none) {
      std::string act;
      if (one.on_done == OnDone::throws) act = "throw std::runtime_error{\"on_done threw\"};";
      if (one.on_done == OnDone::starts) act = start_inside;
      if (one.on_done == OnDone::chats) act = chat_inside;
      if (one.on_done == OnDone::destroys) act = fmt::format("call{}.reset();", index);
      line(text_, "  call{}->on_done([&](const Result<ChatResponse>&) {{ {} }});", index, act);
    }
    if (one.cancel_at >= 0) {
      line(text_, "  runtime.at({1}ms, [&] {{ if (call{0}) {2}; }});", index, one.cancel_at,
           stops_by_token(*case_) ? fmt::format("stop{}.request_stop()", index) : fmt::format("call{}->cancel()", index));
    }
    if (one.destroy_at >= 0 && one.destroy_in_callback) {
      line(text_, "  runtime.at({1}ms, [&] {{ call{0}.reset(); }});", index, one.destroy_at);
    }
  }

  void leave_and_wait() {
    std::vector<std::pair<Millis, std::size_t>> leaving;
    for (std::size_t i = 0; i < case_->consumers.size(); ++i) {
      const ConsumerSpec& one = case_->consumers[i];
      if (one.destroy_at >= 0 && !one.destroy_in_callback) leaving.emplace_back(one.destroy_at, i);
    }
    std::sort(leaving.begin(), leaving.end());
    for (const auto& [moment, index] : leaving) {
      line(text_, "  if ({0}ms > runtime.elapsed()) runtime.run_for({0}ms - runtime.elapsed());", moment);
      line(text_, "  call{}.reset();", index);
    }
    for (std::size_t i = 0; i < case_->consumers.size(); ++i) {
      const ConsumerSpec& one = case_->consumers[i];
      const Face face = one.face;
      const bool destroyed_inside = one.on_done == OnDone::destroys || one.destroy_in_callback;
      if (destroyed_inside) line(text_, "  if (call{}) runtime.run_for(1h);", i);
      if (face == Face::chat_async) line(text_, "  if (call{}) runtime.run_for(1h);", i);
      if (face == Face::start || face == Face::start_sink) {
        line(text_, "  if (call{0}) static_cast<void>(call{0}->wait());", i);
      }
    }
  }

  const Case* case_;
  std::set<std::pair<PolicyKind, int>> declared_;
  std::string text_;
};

}  // namespace

std::string program_of(const Case& shown) {
  Printer printer{shown};
  return printer.print();
}

}  // namespace stacks
