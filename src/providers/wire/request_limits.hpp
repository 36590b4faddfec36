#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/request.hpp"
#include "repairs.hpp"

namespace backstop::inline v0::detail {

/// What a target is known to refuse, although the wire has a field for it.
struct RequestLimits {
  static constexpr std::size_t any_number = std::numeric_limits<std::size_t>::max();

  std::optional<std::int64_t> output_tokens;  ///< the most that `max_output_tokens` may ask for
  std::int64_t least_output_tokens = 1;       ///< the least
  bool sampling = true;                       ///< takes `temperature` and `top_p`, and `top_k` if any target does
  double most_temperature = 2;
  bool top_k = true;
  std::int64_t most_top_k = std::numeric_limits<std::int64_t>::max();
  bool penalties = true;  ///< takes `frequency_penalty` and `presence_penalty`
  double least_penalty = -2;
  double most_penalty = 2;
  bool seed = true;
  std::int64_t least_seed = std::numeric_limits<std::int64_t>::min();
  std::int64_t most_seed = std::numeric_limits<std::int64_t>::max();
  bool service_tier = true;  ///< takes the one that is asked for
  std::size_t cache_marks = any_number;  ///< for the prompt cache; a wire that has none ignores them
  bool cache_marks_of_tools = true;
  std::size_t stop_sequences = any_number;
  bool blank_stop_sequences = true;           ///< takes those that are nothing but blanks
  RepairSet refused = 0;  ///< by the server itself, as it has said
};

/// Of the repairs that change a request whatever the wire, those that change this one.
[[nodiscard]] RepairSet repairs_of(const ChatRequest& request) noexcept;
/// In its turns, results of tools aside.
[[nodiscard]] bool has_images(const ChatRequest& request) noexcept;

/// A request within the limits of a target: what the target would refuse is lowered, raised, cut or left out, rather
/// than sent to be refused. The original must outlive it.
class FittedRequest {
 public:
  FittedRequest(const ChatRequest& original, const RequestLimits& limits);
  FittedRequest(const FittedRequest&) = delete;
  FittedRequest& operator=(const FittedRequest&) = delete;

  /// The original where it is within the limits; else a copy.
  [[nodiscard]] const ChatRequest& request() const noexcept { return changed_ ? *changed_ : *original_; }
  /// What was changed, for the attempt's row; empty when nothing was.
  [[nodiscard]] const std::string& notes() const noexcept { return notes_; }

 private:
  void fit_output(const RequestLimits& limits);
  void fit_sampling(const RequestLimits& limits);
  void fit_top_k(const RequestLimits& limits);
  void fit_penalty(std::string_view name, std::optional<double> ChatRequest::*penalty, const RequestLimits& limits);
  void fit_seed(const RequestLimits& limits);
  void fit_tier(const RequestLimits& limits);
  void leave_out_refused(RepairSet refused);
  void fit_cache_marks(const RequestLimits& limits);
  void fit_stop(const RequestLimits& limits);
  ChatRequest& change(std::string_view note);

  const ChatRequest* original_;
  std::unique_ptr<ChatRequest> changed_;  // apart: most have none, and whoever waits holds this
  std::string notes_;
};

}  // namespace backstop::inline v0::detail
