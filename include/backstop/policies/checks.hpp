#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"

/// Checks of answers, for `accept_if`: `accept_if(matches_schema() && finished())`.
namespace backstop::inline v0 {

namespace detail {
class CheckNode;
}

/// A complete answer and what was asked.
struct Answer {
  const ChatRequest& request;
  const ChatResponse& response;
};

/// Why an answer is not acceptable, in words; empty when it is. At most 500 bytes of it become part of
/// `Error::message`, so it should quote nothing of the answer.
using Objection = std::optional<std::string>;

/// What an answer must be like. Checks are combined: `a && b` asks `b` only where `a` accepts, `a || b` only where `a`
/// does not, and `!a` accepts what `a` refuses.
///
/// Errors: an exception out of the application's own code fails the call with `invalid_request` and its words.
/// Thread safety: as every policy; the application's functions may be called for several calls at the same time, and
/// must not block. Cost: copying copies a pointer.
class BACKSTOP_EXPORT Check {
 public:
  explicit Check(std::shared_ptr<const detail::CheckNode> node);

  /// Such as "matches_schema && (finished || length(1 to 80))".
  [[nodiscard]] std::string describe() const;
  [[nodiscard]] const detail::CheckNode& node() const noexcept { return *node_; }

  BACKSTOP_EXPORT friend Check operator&&(const Check& first, const Check& second);
  BACKSTOP_EXPORT friend Check operator||(const Check& first, const Check& second);
  BACKSTOP_EXPORT friend Check operator!(const Check& check);

 private:
  std::shared_ptr<const detail::CheckNode> node_;
};

/// A validator of the application's own: what is wrong with the JSON by the schema, both as text; empty when nothing.
using SchemaValidator = std::function<Objection(std::string_view schema, std::string_view json)>;

struct SchemaOptions {
  std::string schema{};  ///< as text; empty: that of the request's `response_format`
  SchemaValidator validator{};  ///< null: the library's own; `json_schema_validator.hpp` has another
};

/// The text is JSON that matches the schema, and no object in it has a key twice: programs that read it do not agree on
/// which of the two counts. Numbers are compared digit by digit, whatever their size. Without a schema in the options a request for `json_object` needs an
/// object, and one for plain text accepts everything. An answer that calls tools is accepted: its text is still to
/// come.
///
/// The library's own validator knows the assertions of draft 2020-12 that providers take for structured output (all but
/// `unevaluated*`, `$dynamicRef` and `$anchor`). `format` asserts nothing, `$ref` leads within the schema only and not
/// back to itself for the same value, `multipleOf` has at most 18 digits, and a `pattern` has no look-around, no
/// references to groups and no Unicode properties (`\p`). Where a check would take more than some 20 ms the answer is
/// refused. A keyword that it does not know is an error and is never
/// ignored: std::invalid_argument for a schema in the options; for one in a request the call fails with
/// `invalid_request` before anything is sent. So are schemas that nothing could match by their limits, such as a
/// `minLength` above `maxLength`.
[[nodiscard]] BACKSTOP_EXPORT Check matches_schema(SchemaOptions options = {});

/// The arguments of each tool call match the parameters of its tool in the request; a tool that the request does not
/// have is refused. Schemas as for `matches_schema`.
[[nodiscard]] BACKSTOP_EXPORT Check valid_tool_arguments(SchemaValidator validator = {});

/// The model has come to its end: neither an output limit nor the window nor a filter has cut the answer.
[[nodiscard]] BACKSTOP_EXPORT Check finished();

/// No filter has ended the answer, and it does not begin with one of a few English phrases by which models refuse.
[[nodiscard]] BACKSTOP_EXPORT Check not_refused();

/// There is a tool call, or text other than white space.
[[nodiscard]] BACKSTOP_EXPORT Check not_empty();

/// The text has from `min` to `max` characters, or the answer calls tools. Errors: std::invalid_argument for `max`
/// below `min`.
[[nodiscard]] BACKSTOP_EXPORT Check length_between(std::size_t min, std::size_t max);

/// The text is one of these, white space around it apart, or the answer calls tools. Errors: std::invalid_argument for
/// an empty list.
[[nodiscard]] BACKSTOP_EXPORT Check one_of_labels(std::vector<std::string> labels);

/// The application's own. Errors: std::invalid_argument for an empty name or a null function.
/// Example: `satisfies("is short", [](const Answer& answer) { return answer.response.text().size() < 80; })`
[[nodiscard]] BACKSTOP_EXPORT Check satisfies(std::string name, std::function<bool(const Answer&)> accepts);
[[nodiscard]] BACKSTOP_EXPORT Check satisfies(std::string name, std::function<Objection(const Answer&)> objection);

enum class JudgeFailure : std::uint8_t { accept, reject };

struct JudgeOptions {
  /// What an answer is worth that the judge could not judge: it failed, a cap refused it, it said neither yes nor no,
  /// or its time was over. With `reject`, a call whose own deadline passes meanwhile is `deadline_exceeded`.
  JudgeFailure on_failure = JudgeFailure::accept;
  std::int64_t max_output_tokens = 1'000;  ///< of its verdict, thinking included
};

/// Another model says yes. It is asked the question with the conversation and the answer as text, and has to begin with
/// yes or no; its words go into `Error::provider_message`, not into `message`.
///
/// The judge is a provider with a stack of its own: `judged_by(haiku | timeout(5s) | cost_cap(budget), "Is the answer
/// polite?")`. Its sends count among those of the call, obey the caps around it, and stand in the ledger with `judge`
/// set; sends and time that are kept for other targets are left to them. `explain` and `lint` do not know of it: what it may
/// cost is in no plan.
///
/// Errors: std::invalid_argument for an empty question and an output limit below one.
[[nodiscard]] BACKSTOP_EXPORT Check judged_by(Provider judge, std::string question, JudgeOptions options = {});

}  // namespace backstop::inline v0
