#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/call.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/provider.hpp"
#include "backstop/routing/mid_stream.hpp"
#include "backstop/stream.hpp"

namespace backstop::inline v0 {

struct Config;

/// Defaults are right for most applications.
struct FallbackOptions {
  CallLimits limits{};
  MidStream mid_stream = MidStream::fail;
  std::optional<StreamHold> hold{};  ///< unset: content is handed over as it comes
  bool fall_back_on_content_filter = false;  ///< another provider's filter may think otherwise
  std::vector<std::shared_ptr<Observer>> observers{};
  std::shared_ptr<Runtime> runtime{};  ///< null: the process's own
};

/// What a call would do, found out without sending anything.
struct Plan {
  struct Step {
    Target target;
    std::string stack;                  ///< the target with its policies
    std::optional<Error> skipped;       ///< why it would be passed over now
    std::optional<Money> worst_cost;    ///< of one attempt; empty when the price is not known
  };
  std::vector<Step> steps;              ///< in the order in which they would be tried
  std::int64_t estimated_input_tokens = 0;
  Duration worst_time{0};               ///< the call's deadline
  std::optional<Money> worst_cost;      ///< with every attempt spent on the dearest target; empty when unknown
  int max_attempts = 0;
};

/// Calls the first of several providers that works.
///
/// Each call goes to the providers in their order. One that cools down, whose breaker is open, or that cannot do what
/// the request needs is passed over; one that fails in a way that another may not is followed by the next. One that
/// left the call to others, because its limits would have made it wait or its breaker lets it recover step by step,
/// takes it after all when those fail. When all are out, one probe at a time goes to the one that recovers first, and
/// the other calls fail at once.
///
/// Thread safety: every function may be called from many threads at once.
/// Cost: copying copies a pointer; copies share cooldowns.
/// Errors: the last provider's own error, never "all failed"; its `attempts` say what happened before.
///
/// Example: `FallbackClient client{openai({.model = "gpt-5.6-sol"}), ollama({.model = "llama3.2"})};`
class BACKSTOP_EXPORT FallbackClient final : public ChatProvider {
 public:
  /// Throws std::invalid_argument for an empty list, a target listed twice, limits below one, and with
  /// `problem_with(*options.hold)`.
  explicit FallbackClient(std::vector<Provider> providers, FallbackOptions options = {});
  explicit FallbackClient(Provider only) : FallbackClient{list(std::move(only))} {}
  template <class First, class Second, class... More>
    requires std::convertible_to<First, Provider> && std::convertible_to<Second, Provider> &&
             (std::convertible_to<More, Provider> && ...)
  FallbackClient(First&& first, Second&& second, More&&... more)
      : FallbackClient{list(std::forward<First>(first), std::forward<Second>(second), std::forward<More>(more)...)} {}

  /// A client from a policy file (`config/config.hpp`), each target in the `standard()` stack. The file decides on
  /// limits, `mid_stream` and `hold`; the other options are the caller's. Errors: `invalid_request` with every
  /// complaint of the file's, and for a variable that should hold a key and does not.
  /// Example: `auto client = FallbackClient::from_config(load_config("policy.json"));`
  [[nodiscard]] static Result<FallbackClient> from_config(const Result<Config>& config, FallbackOptions options = {});

  /// Asks and waits for the whole answer.
  [[nodiscard]] Result<ChatResponse> chat(const ChatRequest& request) const;
  [[nodiscard]] Result<ChatResponse> chat(const ChatRequest& request, CallLimits limits) const;
  /// Asks and gives the answer as it comes, on the caller's thread.
  [[nodiscard]] ChatStream stream(ChatRequest request) const;
  [[nodiscard]] ChatStream stream(ChatRequest request, CallLimits limits) const;
  /// Asks in the background; starts the runtime's background driver on first use.
  [[nodiscard]] PendingCall start(ChatRequest request) const;
  [[nodiscard]] PendingCall start(ChatRequest request, CallLimits limits) const;
  /// The same with a stream: `sink` gets the events on the driving thread and must outlive the call.
  [[nodiscard]] PendingCall start(ChatRequest request, CallLimits limits, StreamSink& sink) const;
  /// For the application's own coroutines: `auto reply = co_await client.chat_async(request);`
  [[nodiscard]] AsyncCall chat_async(ChatRequest request) const;
  /// Dry run: the order, what would be passed over and why, the worst case in time and cost.
  [[nodiscard]] Plan explain(const ChatRequest& request) const;

  [[nodiscard]] const FallbackOptions& options() const noexcept;
  [[nodiscard]] const Target& target() const noexcept override;
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] Availability availability(TimePoint now) const noexcept override;
  [[nodiscard]] Layer layer() const override;

 private:
  struct State;

  template <class... Providers>
  static std::vector<Provider> list(Providers&&... providers) {
    std::vector<Provider> providers_list;
    providers_list.reserve(sizeof...(providers));
    (providers_list.push_back(std::forward<Providers>(providers)), ...);
    return providers_list;
  }
  [[nodiscard]] std::shared_ptr<detail::PendingState> launch(ChatRequest request, CallLimits limits, StreamSink* sink) const;

  std::shared_ptr<const State> state_;
};

}  // namespace backstop::inline v0
