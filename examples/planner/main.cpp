// A smart model plans, a fast one executes, and a step that the fast one gets wrong goes back up.
//
// Two local servers play the models, so that it runs offline; put real ones in their place and the rest stays as it is.

#include <backstop/backstop.hpp>
#include <backstop/json.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/fault_server.hpp"

using namespace backstop;

namespace {

// The tools that the application has, and what they need.

const std::vector<Tool> tools{
    {.name = "error_rate",
     .description = "The share of failed calls of a service in the last hour, in percent.",
     .parameters = R"({"type": "object", "properties": {"service": {"type": "string"}}, "required": ["service"],
                       "additionalProperties": false})"},
    {.name = "read_log",
     .description = "The last lines of a service's log.",
     .parameters = R"({"type": "object", "properties": {"service": {"type": "string"}, "lines": {"type": "integer"}},
                       "required": ["service"], "additionalProperties": false})"}};

std::string run_tool(const ToolCall& call) {
  const nlohmann::ordered_json arguments = arguments_to_json(call.arguments);
  const std::string service = arguments.value("service", "");
  if (call.name == "error_rate") return service + ": 4 %";
  return service + ": the database has no connection left";
}

// What the models are asked.

ChatRequest plan_request(const std::string& task) {
  ChatRequest request{"Make a plan of at most five steps, each of which one tool call can do: " + task};
  request.response_format = ResponseFormat{
      .type = ResponseFormat::Type::json_schema,
      .name = "plan",
      .schema = R"({"type": "object", "required": ["steps"], "additionalProperties": false, "properties":
                    {"steps": {"type": "array", "maxItems": 5, "items": {"type": "string"}}}})"};
  return request;
}

/// One step: the model calls tools until it has something to say.
Result<std::string> execute(const FallbackClient& worker, std::vector<Message>& talk, const std::string& step) {
  constexpr int most_turns = 8;
  talk.push_back(Message::user(step));
  for (int turn = 0; turn < most_turns; ++turn) {
    ChatRequest request{talk};
    request.tools = tools;
    const Result<ChatResponse> reply = worker.chat(request);
    if (!reply) return reply.error();
    talk.push_back(reply->message());
    for (const Attempt& attempt : reply->attempts) {
      if (attempt.outcome) fmt::print("    {}: {}\n", attempt.target, reason_of(attempt));
    }
    if (reply->tool_calls().empty()) return reply->text();
    for (const ToolCall& call : reply->tool_calls()) {
      fmt::print("    {} calls {} {}\n", reply->served_by, call.name, call.arguments);
      talk.push_back(Message::tool_result(call.id, run_tool(call)));
    }
  }
  return Error{ErrorKind::rejected_response, "the step took too many turns"};
}

int work(const Provider& smart, const Provider& fast) {
  const FallbackClient planner{smart | accept_if(matches_schema() && finished(), {.repair = 1})};
  const FallbackClient worker{{fast | accept_if(not_empty() && finished() && valid_tool_arguments()), smart},
                              {.escalation = Escalation::with_draft}};

  const Result<ChatResponse> plan = planner.chat(plan_request("Why is the checkout slow?"));
  if (!plan) {
    fmt::print("{}\n", plan.error());
    return 1;
  }
  std::vector<Message> talk;
  const auto json = nlohmann::json::parse(plan->text());  // the floor has checked it
  for (const std::string step : json["steps"]) {
    fmt::print("{}\n", step);
    const Result<std::string> said = execute(worker, talk, step);
    if (!said) {
      fmt::print("{}\n", said.error());
      return 1;
    }
    fmt::print("    {}\n", *said);
  }
  return 0;
}

}  // namespace

int main() {
  faults::FaultServer smart;
  faults::FaultServer fast;
  smart.next(faults::answer(
      R"({"steps": ["How often does checkout fail?", "What does payments complain of?", "What is to be done?"]})"));
  fast.next(faults::tool_call("error_rate", R"({"service": "checkout"})"));
  fast.next(faults::answer("Checkout fails in 4 of 100 calls."));
  fast.next(faults::tool_call("read_log", R"({"srv": "payments"})"));  // has no such argument: goes up
  smart.next(faults::tool_call("read_log", R"({"service": "payments"})"));
  fast.next(faults::answer("Payments has no connection to its database left."));
  fast.next(faults::answer("Give payments more connections."));

  const auto model = [](const faults::FaultServer& server, const std::string& name) {
    return openai_compatible({.model = "m", .base_url = server.base_url("/v1"), .name = name}) | standard();
  };
  return work(model(smart, "smart"), model(fast, "fast"));
}
