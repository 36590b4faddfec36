#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"
#include "backstop/handover/needs.hpp"

/// What a target's own parameters (`ModelFacts::defaults` and `overrides`) make of a request.
namespace backstop::inline v0::detail {

/// What has been given up of a request, and is not brought back by them.
struct GivenUp {
  bool shortened = false;               ///< as `Needs` has it: an output limit may have been lowered
  bool continued = false;               ///< a part of the answer has been delivered: nobody thinks before the rest
  const ChatRequest* whole = nullptr;   ///< as it was before; null: as it is now

  GivenUp() = default;
  explicit GivenUp(const Needs& needs) noexcept
      : shortened{needs.shortened}, continued{needs.prefill}, whole{needs.whole} {}
};

/// The most that the answer may have, where anything says so.
[[nodiscard]] std::optional<std::int64_t> output_limit_of(const Target& target, const ChatRequest& request,
                                                          const GivenUp& given_up) noexcept;

[[nodiscard]] std::optional<double> temperature_of(const Target& target, const ChatRequest& request) noexcept;

/// Whether the target is asked to reason with effort `low` or more. `needs` are those of the request, less what is
/// going to be given up.
[[nodiscard]] bool is_asked_to_reason(const Target& target, const ChatRequest& request, const Needs& needs) noexcept;

/// A request as its target gets it. The original must outlive it.
class OwnRequest {
 public:
  OwnRequest(const ChatRequest& original, const Target& target, const GivenUp& given_up);
  OwnRequest(const OwnRequest&) = delete;
  OwnRequest& operator=(const OwnRequest&) = delete;

  /// The original where the target has no parameters of its own; else a copy.
  [[nodiscard]] const ChatRequest& request() const noexcept { return changed_ ? *changed_ : *original_; }
  /// What the request said and the target replaced, for the attempt's row; empty when nothing was.
  [[nodiscard]] std::string note() const;

 private:
  ChatRequest& change();

  const ChatRequest* original_;
  std::unique_ptr<ChatRequest> changed_;  // apart: most have none, and whoever waits holds this
  std::string replaced_;
};

}  // namespace backstop::inline v0::detail
