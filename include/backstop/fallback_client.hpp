#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backstop/call/async_call.hpp"
#include "backstop/call/call_limits.hpp"
#include "backstop/call/call_options.hpp"
#include "backstop/call/chat_stream.hpp"
#include "backstop/call/client_snapshot.hpp"
#include "backstop/call/pending_call.hpp"
#include "backstop/call/plan.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/observe/observer.hpp"
#include "backstop/provider.hpp"
#include "backstop/routing/degrade.hpp"
#include "backstop/routing/escalation.hpp"
#include "backstop/routing/hedge.hpp"
#include "backstop/routing/mid_stream.hpp"
#include "backstop/routing/recovery_options.hpp"
#include "backstop/routing/strategy.hpp"

namespace backstop::inline v0 {

struct Config;

namespace detail {
struct CallSetup;
}

/// Defaults are right for most applications.
struct FallbackOptions {
  CallLimits limits{};
  Strategy strategy = ordered();             ///< in which order the candidates are asked
  MidStream mid_stream = MidStream::fail;
  std::optional<StreamHold> hold{};  ///< unset: content is handed over as it comes
  bool fall_back_on_content_filter = false;  ///< another provider's filter may think otherwise
  /// What the next target is told of an answer that a quality floor has refused.
  Escalation escalation = Escalation::none;
  /// With `with_draft`, what the user's turn says; `{reasons}` stands for the reasons.
  std::string escalation_wording =
      "The answer above is a draft of another model and was not accepted: {reasons}. Answer the request yourself, "
      "without that fault.";
  std::optional<HedgeOptions> hedge{};       ///< unset: no second target is asked at the same time
  RecoveryOptions recovery{};                ///< what a call does when every target is out
  /// What a request may give up, with notice, when no target that can do all of it can answer; empty: nothing. Before
  /// waiting for targets to recover it is reduced; answers of the ladder's own (`cached`, `canned`) come after that.
  std::vector<Rung> degrade{};
  /// A target that lacks something is asked with a reduced request in its turn, before later ones that lack nothing.
  bool degrade_early = false;
  /// Whether `Error::provider_message` and that of its rows hold what providers said. They may repeat parts of the
  /// prompt; false leaves them empty. Observers never get them.
  bool quote_providers = true;
  std::vector<std::shared_ptr<Observer>> observers{};
  std::shared_ptr<Runtime> runtime{};  ///< null: the process's own
};

/// Calls the first of several providers that works.
///
/// Each call goes to the providers in the order of `FallbackOptions::strategy`, which is that of the list unless said
/// otherwise. One that cools down, whose breaker is open, or that cannot do what
/// the request needs is skipped; after a failure that another may not have, the next is asked. One that was skipped
/// only because its limits would have made the call wait, or because its breaker admits a share of the calls so far, is
/// asked when the others have failed. When all are out, the call waits for the first to recover, within
/// `FallbackOptions::recovery`, and one probe at a time finds out which has.
///
/// A client is a provider: inside another client it is ready when one of its targets is, and its limits hold within
/// those of the other, each time that it is asked; its `observers` and `quote_providers` are then not used, and its
/// `runtime` is for the seed of its strategy only.
///
/// Thread safety: every function may be called from any thread.
/// Cost: copying copies a pointer. What is known of a target (cooldowns) belongs to its provider, and all clients that
/// have a copy of that share it.
/// Errors: the last provider's own error, never "all failed"; where none could be asked, why the one that recovers
/// first could not, with `retry_after`. `attempts` says what happened before. An exception out of a provider or policy
/// of the application's own is `server_error`, and the next one is asked. Where there is no memory to begin a call,
/// `chat`, `stream`, `start` and `chat_async` throw std::bad_alloc and nothing is sent. Later the attempt ends with
/// `local_limit`, "out of memory", which does not count against its target, and the next one is asked; a stream that
/// has written something ends with `stream_interrupted` and that as its `cause`. A row of the ledger takes memory
/// before its send only; of the words in it, and in errors, some may then be missing.
///
/// Example: `FallbackClient client{openai({.model = "gpt-5.6-sol"}), ollama({.model = "llama3.2"})};`
class BACKSTOP_EXPORT FallbackClient final : public ChatProvider {
 public:
  /// Throws std::invalid_argument for an empty list, a target listed twice, limits below one, with `problem_with` of
  /// the options, and for a strategy that does not fit so many providers.
  explicit FallbackClient(std::vector<Provider> providers, FallbackOptions options = {});
  explicit FallbackClient(Provider only);
  /// One target, with options.
  template <class Only>
    requires std::convertible_to<Only, Provider>
  FallbackClient(Only&& only, FallbackOptions options)
      : FallbackClient{list(std::forward<Only>(only)), std::move(options)} {}
  template <class First, class Second, class... More>
    requires std::convertible_to<First, Provider> && std::convertible_to<Second, Provider> &&
             (std::convertible_to<More, Provider> && ...)
  FallbackClient(First&& first, Second&& second, More&&... more)
      : FallbackClient{list(std::forward<First>(first), std::forward<Second>(second), std::forward<More>(more)...)} {}

  /// A client from a policy file (`config/config.hpp`), each target in the `standard()` stack. The file decides on
  /// limits, `mid_stream` and `hold`, which have their defaults where it says nothing of them; on the strategy,
  /// `escalation` and `degrade` where it has them; and on each key of `hedge` and `recovery` that it has. Where it
  /// says of each target how often or on what it is retried (`"max_retries": 2`), `recovery.repeat_failed` is false unless
  /// the file has it. The other options are the caller's.
  /// Errors: `invalid_request` with every complaint of the file's, and for a variable that should hold a key and does
  /// not.
  /// Example: `auto client = FallbackClient::from_config(load_config("policy.json"));`
  [[nodiscard]] static Result<FallbackClient> from_config(const Result<Config>& config, FallbackOptions options = {});

  /// Asks and waits for the whole answer. Here as in the other three, limits that cannot be are std::invalid_argument.
  [[nodiscard]] Result<ChatResponse> chat(const ChatRequest& request, const CallOptions& options = {}) const;
  /// Asks and gives the answer as it comes, on the caller's thread.
  [[nodiscard]] ChatStream stream(ChatRequest request, const CallOptions& options = {}) const;
  /// Asks in the background; starts the runtime's background driver on first use.
  [[nodiscard]] PendingCall start(ChatRequest request, const CallOptions& options = {}) const;
  /// For the application's own coroutines: `auto reply = co_await client.chat_async(request);`
  [[nodiscard]] AsyncCall chat_async(ChatRequest request, const CallOptions& options = {}) const;
  /// This client with some of its targets only, asked in this order. What it knows of them (cooldowns, breakers, who
  /// waits for one to recover) and its other options are shared; its strategy does not apply.
  ///
  /// A target is named `provider/model`, or by its provider alone where that is one target. One inside a client among
  /// the candidates is asked directly, without the options of that client; one behind policies around such a client
  /// only together with the others behind them: these stand where the first that is named does, and among themselves in
  /// the order of their client.
  /// Errors: `invalid_request` for a name that is no target's, and for a name twice; the message lists what there is.
  [[nodiscard]] Result<FallbackClient> only(const std::vector<std::string>& targets) const;
  /// Dry run: the order, what would be passed over and why, the worst case in time and cost.
  [[nodiscard]] Plan explain(const ChatRequest& request) const;

  /// What is known of its candidates now.
  [[nodiscard]] ClientSnapshot snapshot() const;

  [[nodiscard]] const FallbackOptions& options() const noexcept;
  [[nodiscard]] const Target& target() const noexcept override;
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override;
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override;
  [[nodiscard]] Layer layer() const override;

 private:
  struct State;
  class OneCall;

  template <class... Providers>
  static std::vector<Provider> list(Providers&&... providers) {
    std::vector<Provider> providers_list;
    providers_list.reserve(sizeof...(providers));
    (providers_list.push_back(std::forward<Providers>(providers)), ...);
    return providers_list;
  }
  explicit FallbackClient(std::shared_ptr<const State> state) noexcept;
  [[nodiscard]] static std::shared_ptr<State> make_state(std::vector<Provider> providers, FallbackOptions options,
                                                         const State* shared);
  [[nodiscard]] CallLimits limits_with(const LimitOverrides& overrides) const;
  [[nodiscard]] detail::CallSetup setup(const CallOptions& options) const;

  std::shared_ptr<const State> state_;
};

}  // namespace backstop::inline v0
