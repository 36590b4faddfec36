#include "backstop/handover/needs.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "backstop/chat/usage.hpp"
#include "chat/cache_marks.hpp"
#include "chat/token_estimate.hpp"
#include "handover/cost_estimate.hpp"
#include "handover/misfit.hpp"
#include "handover/own_parameters.hpp"

namespace backstop::inline v0 {
namespace {

constexpr std::int64_t characters_per_token_at_most = 6;

/// Hands every text that the model will read to `visit`.
template <class Visit>
void visit_texts(const ChatRequest& request, Visit visit) {
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<Text>(&part)) visit(text->text);
      if (const auto* call = std::get_if<ToolCall>(&part)) {
        visit(call->name);
        visit(call->arguments);
      }
      if (const auto* result = std::get_if<ToolResult>(&part)) visit(result->text);
    }
  }
  for (const Tool& tool : request.tools) {
    visit(tool.name);
    visit(tool.description);
    visit(tool.parameters);
  }
  if (request.response_format && !request.response_format->by_instruction) visit(request.response_format->schema);
}

/// The tokens of the texts at the very least, see `unfit`.
[[nodiscard]] std::int64_t least_tokens(const ChatRequest& request) noexcept {
  std::int64_t characters = 0;
  visit_texts(request, [&characters](std::string_view text) {
    bool in_blank = false;
    for (const char letter : text) {
      const auto byte = static_cast<unsigned char>(letter);
      const bool blank = byte <= 0x20;
      const bool continuation = (byte & 0xc0U) == 0x80U;  // of a UTF-8 sequence
      if (!continuation && !(blank && in_blank)) ++characters;
      in_blank = blank;
    }
  });
  return characters / characters_per_token_at_most;
}

struct Capability {
  bool Needs::*needed;
  bool Capabilities::*offered;
  std::string_view message;
};

constexpr std::array<Capability, 7> capability_table{{
    {&Needs::tools, &Capabilities::tools, "the request uses tools, which this model does not support"},
    {&Needs::vision, &Capabilities::vision, "the conversation has images, which this model cannot read"},
    {&Needs::documents, &Capabilities::documents, "the conversation has documents, which this model cannot read"},
    {&Needs::audio, &Capabilities::audio, "the conversation has recordings, which this model cannot hear"},
    {&Needs::json_schema, &Capabilities::json_schema,
     "the answer must follow a JSON schema, which this model does not support"},
    {&Needs::reasoning, &Capabilities::reasoning, "the request asks for reasoning, which this model does not support"},
    {&Needs::prefill, &Capabilities::prefill,
     "a part of the answer has been delivered, and it does not continue what others have begun"},
}};

[[nodiscard]] Error refusal(ErrorKind kind, const Target& target, std::string message) {
  Error error{kind, std::move(message)};
  error.target = target;
  return error;
}

/// What another target of its domain failed with; when the one that has failed itself is back its own state says.
[[nodiscard]] const Requirement::FailedDomain* failed_domain_of(const Target& target,
                                                                const Requirement* requirement) noexcept {
  const std::string& domain = target.facts().failure_domain;
  if (requirement == nullptr || domain.empty()) return nullptr;
  for (const Requirement::FailedDomain& failed : requirement->failed_domains) {
    if (failed.target.facts().failure_domain == domain && !(failed.target == target)) return &failed;
  }
  return nullptr;
}

/// What the failures before leave no room for.
[[nodiscard]] std::optional<Misfit> ruled_out(const Target& target, const ChatRequest& request,
                                              const Needs& needs) noexcept {
  const Requirement& requirement = *needs.requirement;
  const ModelFacts& facts = target.facts();
  if (requirement.only && !(*requirement.only == target)) {
    return Misfit{ErrorKind::local_limit, "the answer of another target is to be repaired"};
  }
  for (const Target& failed : requirement.failed) {
    if (failed == target) return Misfit{ErrorKind::local_limit, "it has failed in this call already, for good"};
  }
  if (!needs.reduced) {
    for (const Target& failed : requirement.failed_as_asked) {
      if (failed == target) return Misfit{ErrorKind::local_limit, "it has failed in this call already, for good"};
    }
  }
  if (const Requirement::Tried* tried = requirement.find_tried(target); tried != nullptr && !tried->may_be_asked) {
    return Misfit{ErrorKind::local_limit, "it has just failed in this call"};
  }
  if (failed_domain_of(target, &requirement) != nullptr) {
    return Misfit{ErrorKind::local_limit, "it shares a failure domain with a target that failed"};
  }
  const bool window_counts = !needs.shortened && requirement.window_above && facts.context_window;
  if (window_counts && *facts.context_window <= *requirement.window_above) {
    return Misfit{ErrorKind::context_window_exceeded, "its context window is no larger than one that was too small"};
  }
  if (!requirement.priced && !requirement.cheaper_than) return std::nullopt;
  const std::optional<Price> price = price_of(target, needs);
  if (!price) return Misfit{ErrorKind::budget_exceeded, "its price is not known, and a budget has run short"};
  const auto limit = detail::output_limit_of(target, request, detail::GivenUp{needs});
  if (requirement.cheaper_than &&
      cost_of(least_usage(target, limit, input_of(needs)), *price) >= *requirement.cheaper_than) {
    return Misfit{ErrorKind::budget_exceeded, "it is not cheaper than the target that a budget refused"};
  }
  return std::nullopt;
}

}  // namespace

bool asks_for_reasoning(std::string_view effort) noexcept {
  return !effort.empty() && effort != "none" && effort != "minimal";
}

Needs needs_of(const ChatRequest& request) noexcept {
  Needs needs;
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      needs.vision = needs.vision || std::holds_alternative<Image>(part);
      needs.documents = needs.documents || std::holds_alternative<Document>(part);
      needs.audio = needs.audio || std::holds_alternative<Audio>(part);
      const auto* result = std::get_if<ToolResult>(&part);
      needs.tools = needs.tools || std::holds_alternative<ToolCall>(part) || result != nullptr;
      if (result == nullptr) continue;
      for (const ToolFile& file : result->files) {
        needs.vision = needs.vision || std::holds_alternative<Image>(file);
        needs.documents = needs.documents || std::holds_alternative<Document>(file);
      }
    }
  }
  if (!request.tools.empty()) needs.tools = true;
  needs.json_schema = request.response_format && !request.response_format->by_instruction &&
                      request.response_format->type == ResponseFormat::Type::json_schema;
  needs.reasoning = asks_for_reasoning(request.reasoning_effort);
  needs.input_tokens = estimate_input_tokens(request);
  detail::visit_cache_marks(request, [&needs](const bool&) { needs.writes_cache = true; });
  return needs;
}

std::optional<Misfit> misfit_of(const Target& target, const ChatRequest& request, const Needs& needs) noexcept {
  const ModelFacts& facts = target.facts();
  for (const Capability& row : capability_table) {
    if (facts.capabilities.*row.offered) continue;
    const bool reasoning = row.needed == &Needs::reasoning;
    if (reasoning ? detail::is_asked_to_reason(target, request, needs) : needs.*row.needed) {
      return Misfit{ErrorKind::unsupported_capability, row.message};
    }
  }
  if (facts.context_window && needs.input_tokens > *facts.context_window &&
      least_tokens(request) > *facts.context_window) {
    return Misfit{ErrorKind::context_window_exceeded, "the conversation is longer than this model's window"};
  }
  return needs.requirement != nullptr ? ruled_out(target, request, needs) : std::nullopt;
}

std::optional<Error> unfit(const Target& target, const ChatRequest& request, const Needs& needs) {
  const std::optional<Misfit> misfit = misfit_of(target, request, needs);
  if (!misfit) return std::nullopt;
  Error error = refusal(misfit->kind, target, std::string{misfit->what});
  const ModelFacts& facts = target.facts();
  const Requirement* requirement = needs.requirement;
  if (misfit->kind == ErrorKind::context_window_exceeded) {
    if (requirement != nullptr && !needs.shortened && requirement->window_above && *facts.context_window <= *requirement->window_above) {
      error.message = fmt::format("its context window of {} tokens is no larger than the {} that were too few",
                                  *facts.context_window, *requirement->window_above);
    } else {
      error.message = fmt::format("the conversation has about {} tokens, and at least {}; this model's window has {}",
                                  needs.input_tokens, least_tokens(request), *facts.context_window);
    }
  } else if (const Requirement::FailedDomain* domain = failed_domain_of(target, requirement);
             domain != nullptr && misfit->kind == ErrorKind::local_limit) {
    error.message = fmt::format("it shares the failure domain \"{}\" with {}, which failed with {}",
                                facts.failure_domain, domain->target.name(), to_string(domain->why));
  }
  return error;
}

}  // namespace backstop::inline v0
