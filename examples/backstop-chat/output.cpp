#include "output.hpp"

#include <cstdio>
#include <exception>

#include <unistd.h>

#include <backstop/json.hpp>
#include <nlohmann/json.hpp>

using namespace backstop;

namespace {

using Json = nlohmann::ordered_json;

double in_ms(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// What came from a provider, on one line.
std::string on_one_line(std::string text) {
  for (char& letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = ' ';
  }
  return text;
}

std::string line_of(const Attempt& attempt) {
  std::string line = fmt::format("{}: {}", attempt.target, attempt.outcome ? to_string(*attempt.outcome) : "ok");
  if (attempt.http_status != 0) line += fmt::format(", HTTP {}", attempt.http_status);
  line += attempt.sent ? fmt::format(", {:.1f} ms, {}", in_ms(attempt.elapsed), attempt.cost) : ", not sent";
  if (const std::string reason = quoted_reason_of(attempt); !reason.empty()) line += ": " + reason;
  return on_one_line(std::move(line)) + "\n";
}

std::string line_of(const ToolCall& call) {
  return fmt::format("[tool call {}: {}({})]\n", call.id, call.name, json_text(arguments_to_json(call.arguments)));
}

Json amount_or_null(const std::optional<Money>& amount) { return amount ? Json(amount->usd()) : Json{}; }

Json json_of(const Plan::Step& step) {
  return {{"target", step.target.name()},
          {"stack", step.stack},
          {"skipped", step.skipped ? to_json(*step.skipped) : Json{}},
          {"degradation", step.degradation ? to_json(*step.degradation) : Json{}},
          {"cached", step.cached},
          {"worst_cost_usd", amount_or_null(step.worst_cost)}};
}

Json json_of(const Finding& finding) {
  return {{"target", finding.target.empty() ? Json{} : Json(finding.target.name())},
          {"what", finding.what},
          {"why", finding.why},
          {"instead", finding.instead}};
}

std::string json_of(const Plan& plan, const std::vector<Finding>& odd) {
  Json findings = Json::array();
  for (const Finding& finding : odd) findings.push_back(json_of(finding));
  Json steps = Json::array();
  for (const Plan::Step& step : plan.steps) steps.push_back(json_of(step));
  return json_text({{"steps", std::move(steps)},
                    {"estimated_input_tokens", plan.estimated_input_tokens},
                    {"max_attempts", plan.max_attempts},
                    {"waits_ms", plan.waits ? Json(in_ms(*plan.waits)) : Json{}},
                    {"worst_time_ms", in_ms(plan.worst_time)},
                    {"worst_cost_usd", amount_or_null(plan.worst_cost)},
                    {"findings", std::move(findings)}}) + "\n";
}

std::string cost_text(const std::optional<Money>& cost) { return cost ? to_string(*cost) : "unknown"; }

}  // namespace

std::string plan_text(const Plan& plan, const std::vector<Finding>& findings, bool json) {
  if (json) return json_of(plan, findings);
  std::string text = fmt::format("{:<3} {:<36} {:<14} {}\n", "", "target", "cost, at most", "policies");
  int number = 0;
  for (const Plan::Step& step : plan.steps) {
    std::string_view policies = step.stack;
    if (policies.starts_with(step.target.name())) policies.remove_prefix(step.target.name().size());
    text += fmt::format("{:<3} {:<36} {:<14}{}\n", ++number, step.target, cost_text(step.worst_cost), policies);
    if (step.cached) text += "    answered from a cache\n";
    if (step.degradation) text += fmt::format("    degraded: {}\n", on_one_line(step.degradation->notice));
    if (step.skipped) text += fmt::format("    passed over: {}\n", on_one_line(to_string(*step.skipped)));
  }
  text += fmt::format("about {} tokens of input; at most {} attempts, {:.1f} s and {}\n",
                      plan.estimated_input_tokens, plan.max_attempts, in_ms(plan.worst_time) / 1000,
                      cost_text(plan.worst_cost));
  if (plan.waits) text += fmt::format("every target is out: a call waits {:.1f} s for the first\n", in_ms(*plan.waits) / 1000);
  for (const Finding& finding : findings) {
    text += fmt::format("odd: {}{}{}: {}; {}\n", finding.target.name(), finding.target.empty() ? "" : ": ", finding.what,
                        finding.why, finding.instead);
  }
  return text;
}

CallOutput::CallOutput(const Options& options, std::mutex& printing)
    : options_{&options}, printing_{&printing}, live_{options.concurrency <= 1} {}

void CallOutput::show(const StreamEvent& event) {
  if (options_->json) {
    const Json line = to_json(event);
    if (!line.is_null()) out_ += json_text(line) + "\n";
  } else if (event.type == StreamEvent::Type::text) {
    out_ += event.delta;
  } else if (event.type == StreamEvent::Type::tool_call) {
    out_ += line_of(*event.tool_call);
  } else if (event.type == StreamEvent::Type::restarted) {
    out_ += "\n";
    notes_ += fmt::format("[the answer broke off; {} begins anew]\n", event.target);
  } else if (event.type == StreamEvent::Type::degraded) {
    notes_ += event.degradation->notice + "\n";
  }
  begun_ = begun_ || !out_.empty();
  if (live_) flush();
}

bool CallOutput::shows_progress() const noexcept {
  return live_ && !options_->json && isatty(STDERR_FILENO) != 0;
}

void CallOutput::show(const ProgressEvent& event) noexcept {
  if (begun_ || event.type == ProgressEvent::Type::attempt_began) return;
  try {
    notes_ += fmt::format("[{}]\n", on_one_line(to_string(event)));
    flush();
  } catch (const std::exception&) {  // no memory: the end is told
  }
}

void CallOutput::finish(const Result<ChatResponse>& result) {
  if (options_->json) {
    out_ += json_text(result_to_json(result)) + "\n";
  } else if (result) {
    show_answer(*result);
  } else if (result.error().committed) {
    out_ += "\n";
  }
  if (!result) notes_ += to_string(result.error()) + "\n";
  flush();
}

void CallOutput::show_answer(const ChatResponse& answer) {
  if (!options_->stream) {
    out_ += answer.text();
    for (const ToolCall& call : answer.tool_calls()) out_ += line_of(call);
  }
  if (!options_->stream && answer.degradation) notes_ += answer.degradation->notice + "\n";
  if (!out_.ends_with('\n')) out_ += "\n";
  for (const Attempt& attempt : answer.attempts) notes_ += line_of(attempt);
  notes_ += fmt::format("answered by {} in {:.1f} ms\n", answer.served_by, in_ms(answer.elapsed));
}

void CallOutput::flush() {
  const std::lock_guard lock{*printing_};
  std::fwrite(out_.data(), 1, out_.size(), stdout);
  std::fflush(stdout);
  std::fwrite(notes_.data(), 1, notes_.size(), stderr);
  out_.clear();
  notes_.clear();
}
