#pragma once

#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>

#include "backstop/chat/error_kind.hpp"
#include "backstop/chat/money.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"

/// Questions to ask of a call's result in a test, for any test framework. Targets are named as `provider/model`. An
/// `Error` may stand in place of a result: `fails_with(caught.error(), ...)`.
///
/// Example: `CHECK(answered_by(reply, "ollama/llama3.2"));
///           CHECK(tried(reply, {"openai/gpt-5", "ollama/llama3.2"}));`
namespace backstop::inline v0::testing {

/// The answer to such a question: yes or no, and what was found. When a check fails, Catch2 and doctest print it by
/// themselves; with GoogleTest write `const auto found = answers(reply); EXPECT_TRUE(found) << found;`.
class [[nodiscard]] Match {
 public:
  Match(bool holds, std::string words) : words_{std::move(words)}, holds_{holds} {}

  explicit operator bool() const noexcept { return holds_; }
  /// What was asked and what was found, with the whole ledger.
  [[nodiscard]] const std::string& words() const noexcept { return words_; }
  BACKSTOP_EXPORT friend std::ostream& operator<<(std::ostream& out, const Match& match);

 private:
  std::string words_;
  bool holds_;
};

using CallResult = Result<ChatResponse>;

// How the call ended.

[[nodiscard]] BACKSTOP_EXPORT Match answers(const CallResult& result);
[[nodiscard]] BACKSTOP_EXPORT Match answers(const CallResult& result, std::string_view text);
[[nodiscard]] BACKSTOP_EXPORT Match answered_by(const CallResult& result, std::string_view target);
[[nodiscard]] BACKSTOP_EXPORT Match fails_with(const CallResult& result, ErrorKind kind);
/// Of that target, which `Error::target` names.
[[nodiscard]] BACKSTOP_EXPORT Match fails_with(const CallResult& result, ErrorKind kind, std::string_view target);

// What happened on the way: the ledger.

/// The requests that went out, in order, went to these.
[[nodiscard]] BACKSTOP_EXPORT Match tried(const CallResult& result, std::initializer_list<std::string_view> targets);
/// That many requests went out, to all or to one.
[[nodiscard]] BACKSTOP_EXPORT Match sends(const CallResult& result, int count);
[[nodiscard]] BACKSTOP_EXPORT Match sends_to(const CallResult& result, std::string_view target, int count);
/// A request that went to it failed so.
[[nodiscard]] BACKSTOP_EXPORT Match failed_at(const CallResult& result, std::string_view target, ErrorKind kind);
/// It was passed over at least once, for that reason if one is given.
[[nodiscard]] BACKSTOP_EXPORT Match skipped(const CallResult& result, std::string_view target);
[[nodiscard]] BACKSTOP_EXPORT Match skipped(const CallResult& result, std::string_view target, ErrorKind why);
/// What all of its requests cost together, estimates included.
[[nodiscard]] BACKSTOP_EXPORT Match costs(const CallResult& result, Money amount);
[[nodiscard]] BACKSTOP_EXPORT Match costs_at_most(const CallResult& result, Money amount);

}  // namespace backstop::inline v0::testing
