#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "backstop/chat/error.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/handover/needs.hpp"
#include "backstop/routing/candidate.hpp"
#include "backstop/runtime/alternatives.hpp"
#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::detail {

using Candidates = std::vector<std::unique_ptr<const Candidate>>;

/// A refusal that ends by itself, after which the same target would be asked.
[[nodiscard]] constexpr bool passes_with_time(ErrorKind kind) noexcept {
  return kind == ErrorKind::circuit_open || kind == ErrorKind::local_limit;
}

/// Of the reasons for passing targets over, the one the caller should know: one that ends soonest, else the first.
class Refusals {
 public:
  void add(const Candidate& candidate, const Error& error);
  [[nodiscard]] const Candidate* soonest() const noexcept { return soonest_; }
  [[nodiscard]] std::optional<Error>& error() noexcept { return error_; }

 private:
  const Candidate* soonest_ = nullptr;
  std::optional<Error> error_;
};

/// The walk of one call along the candidates: who may be asked, who has been, and what came of it.
///
/// To the policies of the candidate being asked it offers the next one as a substitute.
class Walk final : public Substitute {
 public:
  Walk(const Candidates& candidates, const ChatRequest& request, CallContext& context);

  /// A candidate to be asked.
  struct Step {
    std::size_t index;
    bool again = false;  ///< it has left the call to others, which did not answer either
  };
  /// Each candidate in order, but those that have failed as substitutes; then those of `come_back_to`.
  [[nodiscard]] std::optional<Step> next() noexcept;
  /// It refused while others were ready to take the call: when they fail it may take it after all.
  void come_back_to(std::size_t index) { left_to_others_.push_back(index); }

  /// Why the candidate is not to be asked now; empty when it is.
  [[nodiscard]] std::optional<Error> obstacle_of(std::size_t index, TimePoint now) const;
  [[nodiscard]] std::size_t ready_from(std::size_t index, TimePoint now) const;
  /// The candidate was not asked, for that reason.
  void pass_over(std::size_t index, const Error& obstacle, TimePoint now);
  /// It has failed already, as a substitute.
  [[nodiscard]] bool has_failed(std::size_t index) const noexcept;

  /// The candidate is about to be asked.
  void ask(std::size_t index) noexcept;
  /// What came of asking it means something for later calls.
  void note(Result<ChatResponse>& result);
  /// Narrows what is asked of the next target; false when no other target would do.
  [[nodiscard]] bool goes_on(const Error& error, bool fall_back_on_content_filter) noexcept {
    return requirement_.add(error, fall_back_on_content_filter);
  }

  /// The consumer has a part of the answer: from now on only targets will do that can write the rest of it.
  void must_continue_text() noexcept { continues_text_ = true; }

  // For the policies of the candidate being asked.
  [[nodiscard]] const Target* choose() override;
  [[nodiscard]] Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) override;
  void took_over(const Error* other) noexcept override;

  Refusals refusals;
  std::optional<Error> failure;  ///< of the last target that was really tried

 private:
  /// What several targets share, and how it failed one of them.
  struct FailedPool {
    const Target* target;
    ErrorKind why;
  };

  [[nodiscard]] const Candidate& candidate(std::size_t index) const noexcept { return *(*candidates_)[index]; }
  [[nodiscard]] std::optional<Error> lasting_obstacle(std::size_t index, TimePoint now) const;
  [[nodiscard]] bool other_goes_first(std::size_t index, TimePoint now) const;
  void note_failure(std::size_t index, const Error& error, TimePoint now);
  void note_limits(std::size_t index, const CallContext& context, std::size_t first_row) const;
  void note_pool(std::size_t index, ErrorKind why);

  const Candidates* candidates_;
  const ChatRequest* request_;
  CallContext* context_;
  Needs needs_;
  Requirement requirement_;
  std::size_t position_ = 0;
  std::size_t returned_ = 0;
  std::size_t asked_ = 0;
  std::size_t asked_row_ = 0;  // of the ledger
  std::size_t substitute_ = 0;
  bool taken_over_ = false;
  bool continues_text_ = false;
  std::vector<std::size_t> left_to_others_;
  std::vector<std::size_t> failed_substitutes_;
  std::vector<FailedPool> failed_pools_;
};

}  // namespace backstop::inline v0::detail
