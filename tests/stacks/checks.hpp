#pragma once

#include <string>
#include <vector>

#include "stacks/case.hpp"
#include "stacks/play.hpp"

namespace stacks {

/// A promise that a case has shown to be broken.
struct Violation {
  std::string check;   ///< its name
  std::string detail;  ///< what was found
};

/// Plays the case and checks everything; what is found, at most one of each check. A crash is for the caller to see.
[[nodiscard]] std::vector<Violation> violations_of(const Case& played);

// The checks, one after the other.

using Found = std::vector<Violation>;
/// `no-hang`, `one-terminal-event`, `one-on-done`, `one-call-event`
void check_ends(const Play& play, Found& found);
void check_texts(const Play& play, Found& found);         ///< `text-equals-deltas`
void check_rows(const Play& play, Found& found);          ///< `rows-equal-sends`, `cost-equals-rows`
void check_money(Play& play, Found& found);               ///< `spent-equals-rows`, `cap-holds`
void check_left(Play& play, Found& found);                ///< `nothing-left`
void check_fit(const Play& play, Found& found);           ///< `no-unfit-target-asked`
void check_choice(const Play& play, Found& found);        ///< `only-chosen-targets`
void check_deadlines(const Play& play, Found& found);     ///< `deadline-held`
[[nodiscard]] bool has_policy(const Node& node, PolicyKind kind);  ///< anywhere in the tree
void check_answers(const Play& play, Found& found);       ///< `answered-when-possible`
void check_notices(const Play& play, Found& found);       ///< `given-up-with-notice`
void check_secrets(const Play& play, Found& found);       ///< `no-secret-in-error`
void check_plan(const Play& play, Found& found);          ///< `explain-agrees`
void check_nested(const Case& played, Found& found);      ///< `nested-equals-flat`

/// Whether the call of that consumer has to be answered, as far as can be told for certain.
[[nodiscard]] bool must_be_answered(const Case& played, const ConsumerSpec& consumer);
/// The same case with all targets directly in its one client; nothing where options or policies of inner clients make
/// that another case.
[[nodiscard]] std::optional<Case> flattened(const Case& nested);

}  // namespace stacks
